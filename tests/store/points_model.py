"""The points ledger again, as a shoebox of single points: slow, and so plain that it can be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["Shoebox", "Token"]

FAR = datetime.max


@dataclass(eq=False)
class Token:
    """One point: in which earning it came, who has it, what has become of it."""

    earning: int
    holder: str
    available_at: datetime
    expires_at: datetime | None
    state: str = "pending"

    @property
    def order(self) -> tuple[datetime, int]:
        return (self.expires_at.replace(tzinfo=None) if self.expires_at else FAR), self.earning


@dataclass
class Shoebox:
    """Everybody's points, one by one. Time does its work at once, whenever it passes."""

    now: datetime
    tokens: list[Token] = field(default_factory=list)
    owed: dict[str, int] = field(default_factory=dict)
    reversed: dict[int, int] = field(default_factory=dict)
    redemptions: dict[int, list[Token]] = field(default_factory=dict)
    earnings: int = 0

    def held(self, who: str, state: str) -> list[Token]:
        mine = [token for token in self.tokens if token.holder == who and token.state == state]
        return sorted(mine, key=lambda token: token.order)

    def balance(self, who: str) -> tuple[int, int, int]:
        return len(self.held(who, "available")), len(self.held(who, "pending")), self.owed.get(who, 0)

    def pass_time(self, to: datetime) -> None:
        instants = {at for token in self.tokens for at in (token.available_at, token.expires_at) if at and at <= to}
        for at in sorted(instants | {to}):
            for token in sorted(self.tokens, key=lambda token: token.order):
                if token.state == "pending" and token.available_at <= at:
                    token.state = "available"
                    self.pay(token)
            for token in self.tokens:
                if token.state == "available" and token.expires_at is not None and token.expires_at <= at:
                    token.state = "expired"
        self.now = to

    def pay(self, token: Token) -> None:
        if self.owed.get(token.holder, 0):
            self.owed[token.holder] -= 1
            token.state = "paid"

    def earn(self, who: str, points: int, available_at: datetime, expires_at: datetime | None) -> int:
        self.earnings += 1
        new = [Token(self.earnings, who, available_at, expires_at) for _ in range(points)]
        self.tokens += new
        self.pass_time(self.now)
        return self.earnings

    def spend(self, who: str, points: int) -> list[Token] | None:
        taken = self.held(who, "available")[:points]
        if len(taken) < points:
            return None
        for token in taken:
            token.state = "spent"
        return taken

    def give_back(self, redemption: int, points: int) -> bool:
        taken = self.redemptions[redemption]
        if points > len(taken):
            return False
        for _ in range(points):
            token = taken.pop()
            token.state = "available"
            self.pay(token)
        self.pass_time(self.now)
        return True

    def reverse(self, earning: int, points: int) -> bool:
        mine = [token for token in self.tokens if token.earning == earning]
        if points > len(mine) - self.reversed.get(earning, 0):
            return False
        self.reversed[earning] = self.reversed.get(earning, 0) + points
        for state in ("pending", "available", "expired"):
            for token in [token for token in mine if token.state == state][:points]:
                token.state = "reversed"
                points -= 1
        holder = mine[0].holder
        for token in self.held(holder, "available")[:points]:
            token.state = "recalled"
            points -= 1
        self.owed[holder] = self.owed.get(holder, 0) + points
        return True

    def transfer(self, giver: str, taker: str) -> None:
        self.owed[taker] = self.owed.get(taker, 0) + self.owed.pop(giver, 0)
        for token in self.tokens:
            if token.holder == giver:
                token.holder = taker
        for token in self.held(taker, "available"):
            self.pay(token)
