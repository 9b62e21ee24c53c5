-- Adds entries to the end of a stream, if it ends where the caller believes or further. Nothing else
-- runs in between. After an error none is there without those before it.
--
-- KEYS[1]  the stream
-- ARGV[1]  the number (first half of the id) that it ends at, at least; '0': it has never had an
--          entry; '': the caller does not know
-- ARGV[2]  about how many entries it keeps
-- ARGV[3…] nine for each entry, in order of their numbers: the number, and the values of the fields
--
-- Returns the number that the stream ends at now. Entries up to where it ended before are there
-- already, and passed over.

-- Numbers have up to 20 digits, more than a number of Lua holds.
local function is_less(a, b)
  return #a < #b or (#a == #b and a < b)
end

-- A refusal of a command inside of a script does not say of which.
local function failed(command, reply)
  if string.find(reply.err, 'executing the script', 1, true) then
    return redis.error_reply('NOPERM ' .. command .. ': ' .. reply.err)
  end
  return reply
end

local last = '0'
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  if not string.find(info.err, 'no such key', 1, true) then
    return failed('XINFO', info)
  end
else
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      last = string.match(info[i + 1], '^%d+')
    end
  end
end

local believed = ARGV[1]
local is_as_believed = believed == '' or believed == last
  or (believed ~= '0' and is_less(believed, last))
if not is_as_believed then
  return redis.error_reply('ANNALSLOST the stream ends at ' .. last .. ', not at ' .. believed)
end

for i = 3, #ARGV, 9 do
  local number = ARGV[i]
  if is_less(last, number) then
    local added = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], number .. '-0',
      'id', ARGV[i + 1], 'type', ARGV[i + 2], 'stream', ARGV[i + 3], 'revision', ARGV[i + 4],
      'partition', ARGV[i + 5], 'position', ARGV[i + 6], 'time', ARGV[i + 7],
      'cloudevent', ARGV[i + 8])
    if type(added) == 'table' and added.err then
      return failed('XADD', added)
    end
    last = number
  end
end
return last
