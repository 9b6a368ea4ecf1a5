"""Channels: how does a message reach a customer, and what became of it?

**Reads** what is declared under `channels:` and `templates:`. **Writes** nothing of its own; the `outbox` and `file`
channels write files.
**Extend** with a class that is a `Channel`, registered under the entry points `tierwise.channels`.

- `base`      the door: a message that goes out, and the fates it can have
- `templates` texts with fields: a closed set of expressions, no code
- `lint`      what is wrong with a template before anybody gets it
- `calling`   one call over HTTP whose fate is always known, to addresses that are public
- `folder`    `outbox`: files one can look at
- `export`    `file`: rows for somebody else to send
- `mail`      `smtp`
- `aliyun`    `aliyun_sms`, with its reports and replies
- `webhook`   `webhook`, signed
- `opening`   channels by their declared names
"""

from tierwise.channels.base import (
    Absent,
    Accepted,
    Channel,
    Outcome,
    Outgoing,
    Receipt,
    Refused,
    Reply,
    Unknown,
)  # fmt: skip
from tierwise.channels.lint import lint
from tierwise.channels.opening import channel_kinds, check_channels, open_channel
from tierwise.channels.templates import Template

__all__ = [
    "Absent",
    "Accepted",
    "Channel",
    "Outcome",
    "Outgoing",
    "Receipt",
    "Refused",
    "Reply",
    "Template",
    "Unknown",
    "channel_kinds",
    "check_channels",
    "lint",
    "open_channel",
]
