"""The aggregate `account` of the bank, in Python: it keeps the rules of one bank account.

It is the same as `plugins/bank/account` is in Rust: the same commands and events, the same answers,
so that either can go on with the streams of the other. It has three parts:

- `account`: the state, which is what the rules need to know and nothing else, and the rules.
- `commands`: what can be asked.
- `events`: what happened; the only truth there is.

The tests are in `tests`.
"""
