//! The aggregate `account`, as small as the scenarios allow.

use annals_core::columns::History;
use annals_core::plugin::{Context, Decision, Description, GuestEvent, Refusal};
use annals_core::port::guest::{AggregateGuest, EntityHandle, GuestFailure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::runtime::{bare, message};

pub(super) fn description() -> Description {
    let cents = json!({
        "type": "object",
        "properties": {"cents": {"$ref": "#/$defs/cents"}},
        "required": ["cents"],
        "additionalProperties": false,
        "$defs": {"cents": {"type": "integer", "minimum": 1}},
    });
    let opened = json!({
        "type": "object",
        "properties": {"owner": {"type": "string"}, "initial_cents": {"type": "integer"}},
        "required": ["owner", "initial_cents"],
    });
    Description {
        commands: vec![
            message("open-account", &opened),
            message("deposit-funds", &cents),
            message("withdraw-funds", &cents),
            message("check-account", &json!({"type": "object"})),
        ],
        events: vec![
            message("account-opened", &opened),
            message("funds-deposited", &cents),
            message("funds-withdrawn", &cents),
        ],
        ..bare("account", "Bank accounts.")
    }
}

/// A later one, which breaks with the first: a command and an event type are gone, and deposits are of
/// 5 cents or more.
pub(super) fn next_description() -> Description {
    let mut next = description();
    next.commands.retain(|command| command.name.as_str() != "check-account");
    next.events.retain(|event| event.name.as_str() != "funds-withdrawn");
    for command in &mut next.commands {
        command.schema = command.schema.replace("\"minimum\":1", "\"minimum\":5");
    }
    next
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Account {
    owner: Option<String>,
    balance_cents: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    owner: String,
    initial_cents: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    cents: u64,
}

#[derive(Debug, Default)]
pub(super) struct AccountGuest {
    accounts: Vec<Account>,
    // Refuses deposits of more than 100 cents.
    is_capped: bool,
}

impl AccountGuest {
    /// Versions that end in `-capped` have a rule more.
    pub(super) fn of_version(version: &str) -> Self {
        Self { is_capped: version.ends_with("-capped"), ..Self::default() }
    }

    fn add(&mut self, account: Account) -> EntityHandle {
        self.accounts.push(account);
        EntityHandle(u64::try_from(self.accounts.len() - 1).unwrap())
    }

    fn account(&mut self, entity: EntityHandle) -> &mut Account {
        &mut self.accounts[usize::try_from(entity.0).unwrap()]
    }
}

fn parse<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(data).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn rejected(code: &str, message: &str, detail: Option<Value>) -> Refusal {
    let (code, message) = (code.to_owned(), message.to_owned());
    Refusal::Rejected { code, message, detail: detail.map(|detail| detail.to_string().into()) }
}

impl Account {
    fn decide(&self, command: u32, data: &[u8]) -> Result<Option<u32>, Refusal> {
        if command == 0 {
            let opening: Opening = parse(data)?;
            return match &self.owner {
                Some(owner) => {
                    let text = format!("{owner} has it, {} does not get it", opening.owner);
                    Err(rejected("already-open", &text, None))
                }
                None => Ok(Some(0)),
            };
        }
        if command == 3 {
            return Ok(None);
        }
        let amount: Amount = parse(data)?;
        if self.owner.is_none() {
            return Err(rejected("not-open", "the account is not open", None));
        }
        if command == 2 && amount.cents > self.balance_cents {
            let detail = json!({"balance_cents": self.balance_cents});
            return Err(rejected("insufficient-funds", "not enough money", Some(detail)));
        }
        Ok(Some(command))
    }

    fn evolve(&mut self, event: u32, data: &[u8]) {
        if event == 0 {
            let opening: Opening = serde_json::from_slice(data).unwrap();
            *self = Self { owner: Some(opening.owner), balance_cents: opening.initial_cents };
            return;
        }
        let Amount { cents } = serde_json::from_slice(data).unwrap();
        match event {
            1 => self.balance_cents += cents,
            _ => self.balance_cents -= cents,
        }
    }
}

impl AggregateGuest for AccountGuest {
    fn create(&mut self, _stream_id: &str) -> Result<EntityHandle, GuestFailure> {
        Ok(self.add(Account::default()))
    }

    fn restore(
        &mut self,
        _stream_id: &str,
        snapshot: &[u8],
    ) -> Result<Result<EntityHandle, String>, GuestFailure> {
        Ok(match serde_json::from_slice(snapshot) {
            Ok(account) => Ok(self.add(account)),
            Err(error) => Err(error.to_string()),
        })
    }

    fn evolve(&mut self, entity: EntityHandle, events: &History) -> Result<(), GuestFailure> {
        let mut start = 0;
        for (event, end) in events.event_types.iter().zip(events.data.ends()) {
            let end = usize::try_from(*end).unwrap();
            self.account(entity).evolve(*event, &events.data.bytes()[start..end]);
            start = end;
        }
        Ok(())
    }

    fn decide(
        &mut self,
        entity: EntityHandle,
        _context: &Context,
        command_type: u32,
        data: &[u8],
    ) -> Result<Result<Decision, Refusal>, GuestFailure> {
        if self.is_capped && command_type == 1 && parse::<Amount>(data).is_ok_and(|a| a.cents > 100)
        {
            return Ok(Err(rejected("too-much", "more than 100 cents", None)));
        }
        Ok(self.account(entity).decide(command_type, data).map(|event_type| Decision {
            events: event_type
                .map(|event_type| GuestEvent { event_type, data: data.to_vec() })
                .into_iter()
                .collect(),
            ..Decision::default()
        }))
    }

    fn snapshot(&mut self, entity: EntityHandle) -> Result<Vec<u8>, GuestFailure> {
        Ok(serde_json::to_vec(self.account(entity)).unwrap())
    }

    fn remove(&mut self, _entity: EntityHandle) -> Result<(), GuestFailure> {
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        0
    }

    fn memory_bytes_max(&self) -> usize {
        usize::MAX
    }
}
