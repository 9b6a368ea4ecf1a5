"""What customers tell the shop: calls and complaints, survey answers and ratings, activities they take part in."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tierwise.shop.browsing import Presence, Sessions
from tierwise.shop.catalogue import Catalogue
from tierwise.shop.cohort import Cohort, pick, row_ids
from tierwise.shop.columns import instants, picked
from tierwise.shop.purchases import Orders
from tierwise.shop.seasons import Seasons

__all__ = ["activities_table", "contacts_table", "responses_table"]

_CONTACTS: Final = ("call", "chat", "complaint")
_TOPICS: Final = ("delivery", "quality", "usage", "refund", "membership", "price")
_CONTACT_CHANNELS: Final = ("phone", "wechat", "store")
_RESPONSES: Final = ("survey", "rating", "review")
_QUESTIONS: Final = ("recommend", "main_need", "product")
_NEEDS: Final = ("sleep", "immunity", "joints", "skin", "family", "price")
_STAGES: Final = ("invited", "signed_up", "attended")


def contacts_table(cohort: Cohort, sessions: Sessions, orders: Orders, seasons: Seasons) -> pa.Table:
    """Return service contacts as a table: after orders, oftener by the dissatisfied, and questions while browsing."""
    rng = cohort.block.rng(7)
    purchases = orders.purchases
    past = orders.past(seasons)
    content = cohort.satisfaction[purchases.customer]
    last = purchases.second == purchases.dropped_at[purchases.customer]
    chance = 0.035 + 0.03 * (content < -1.0) + 0.05 * last
    about = np.flatnonzero(past & (rng.random(len(past)) < chance))
    asked = np.flatnonzero(rng.random(len(sessions.customer)) < 0.006)
    after = purchases.second[about] + (rng.gamma(1.3, 3.2, len(about)) * 86_400).astype(np.int64)
    customer = np.concatenate((purchases.customer[about], sessions.customer[asked]))
    second = np.concatenate((after, sessions.second[asked] + 90))
    m, orders_count = len(customer), len(about)
    unhappy = cohort.satisfaction[customer] < -0.8
    weights = np.where(unhappy[:, None], np.array([0.2, 0.3, 0.5]), np.array([0.35, 0.53, 0.12]))
    kind = pick(rng.random(m), weights)
    kind[orders_count:] = 1
    topic = pick(rng.random(m), np.array([0.3, 0.18, 0.2, 0.14, 0.08, 0.1]))
    # A call is by phone, a chat on WeChat, a complaint any way.
    channel = np.where(kind == 2, pick(rng.random(m), np.array([0.5, 0.35, 0.15])), kind)
    resolved = rng.random(m) < np.where(kind == 2, 0.68, 0.93)
    at = np.flatnonzero(second < seasons.end_second)
    columns = {
        "contact_id": row_ids(cohort.block, len(at)),
        "customer_key": picked(customer[at], cohort.keys),
        "time": instants(second[at]),
        "type": picked(kind[at], _CONTACTS),
        "topic": picked(topic[at], _TOPICS),
        "channel": picked(channel[at], _CONTACT_CHANNELS),
        "resolved": pa.array(resolved[at]),
    }
    return pa.table(columns)


def responses_table(cohort: Cohort, orders: Orders, seasons: Seasons, catalogue: Catalogue) -> pa.Table:
    """Return survey answers, ratings and reviews as a table; never free text."""
    rng = cohort.block.rng(8)
    purchases = orders.purchases
    n = len(purchases.customer)
    possible = orders.past(seasons) & ~orders.cancelled
    # One order can bring a recommendation survey (with a question on needs), a rating or a review with stars.
    drawn = rng.random(n)
    surveyed = np.flatnonzero(possible & (drawn < 0.05))
    needs = surveyed[rng.random(len(surveyed)) < 0.6]
    rated = np.flatnonzero(possible & (drawn >= 0.05) & (drawn < 0.2))
    reviewed = np.flatnonzero(possible & (drawn >= 0.2) & (drawn < 0.25))
    order = np.concatenate((surveyed, needs, rated, reviewed))
    sizes = [len(surveyed), len(needs), len(rated), len(reviewed)]
    kind = np.repeat(np.array([0, 0, 1, 2]), sizes)
    question = np.repeat(np.array([0, 1, 2, 2]), sizes)
    m = len(order)
    feeling = cohort.satisfaction[purchases.customer[order]] + 0.7 * rng.standard_normal(m)
    stars = np.clip(np.rint(4.2 + 0.8 * feeling), 1, 5)
    points = np.where(question == 0, np.clip(np.rint(8.0 + 2.3 * feeling), 0, 10), stars)
    answer = np.where(question == 1, pick(rng.random(m), np.array([4.0, 3, 2, 3, 2, 2])), -1)
    wait = rng.gamma(2.0, 1.7, n)[order]
    second = purchases.second[order] + (86_400 * (0.2 + wait)).astype(np.int64) + 40 * (question == 1)
    sku = orders.line_sku[np.searchsorted(orders.line_order, order)]
    surveys = pa.concat_arrays([catalogue.sku, pa.array(["service_survey"])])
    at = np.flatnonzero(second < seasons.end_second)
    columns = {
        "response_id": row_ids(cohort.block, len(at)),
        "customer_key": picked(purchases.customer[order[at]], cohort.keys),
        "time": instants(second[at]),
        "type": picked(kind[at], _RESPONSES),
        "survey": picked(np.where(kind == 0, len(catalogue.sku), sku)[at], surveys),
        "question": picked(question[at], _QUESTIONS),
        "answer": picked(answer[at], _NEEDS),
        "score": pa.array(points[at].astype(np.int32), mask=question[at] == 1),
    }
    return pa.table(columns)


def activities_table(cohort: Cohort, presence: Presence, seasons: Seasons) -> pa.Table:
    """Return invitations to activities, sign-ups and attendance as a table."""
    rng = cohort.block.rng(9)
    days = np.array([activity.day for activity in seasons.activities])
    until = np.minimum(presence.until, seasons.end_day)
    first, last = np.searchsorted(days, presence.since + 14.0), np.searchsorted(days, until)
    choice = np.maximum(last - first, 0)
    count = np.where(cohort.visitor, 0, rng.binomial(choice, 0.11))
    customer = np.repeat(np.arange(len(count)), count)
    chosen = first[customer] + (rng.random(len(customer)) * choice[customer]).astype(np.int64)
    # Being invited twice to one activity would be a mistake of the shop.
    _, once = np.unique(customer * len(days) + chosen, return_index=True)
    customer, chosen = customer[once], chosen[once]
    m = len(customer)
    begins = seasons.start_second + days[chosen] * 86_400 + (14 + chosen % 5) * 3600
    invited = begins - (rng.integers(3, 10, m) * 86_400) - (rng.random(m) * 18_000).astype(np.int64)
    willing = rng.random(m) < np.clip(0.32 + 0.12 * cohort.satisfaction[customer], 0.05, 0.9)
    came = willing & (rng.random(m) < 0.72)
    signed = invited + (rng.random(m) * 2.5 * 86_400).astype(np.int64)
    stage: NDArray[np.int64] = np.repeat(np.arange(3), [m, int(willing.sum()), int(came.sum())])
    row = np.concatenate((np.arange(m), np.flatnonzero(willing), np.flatnonzero(came)))
    second = np.concatenate((invited, signed[willing], begins[came] + 300))
    at = np.flatnonzero(second < seasons.end_second)
    channels = [activity.channel for activity in seasons.activities]
    where = np.unique(channels, return_inverse=True)
    columns = {
        "participation_id": row_ids(cohort.block, len(at)),
        "customer_key": picked(customer[row[at]], cohort.keys),
        "time": instants(second[at]),
        "type": picked(stage[at], _STAGES),
        "activity": picked(chosen[row[at]], [activity.name for activity in seasons.activities]),
        "channel": picked(where[1][chosen[row[at]]], where[0].tolist()),
    }
    return pa.table(columns)
