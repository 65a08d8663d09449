"""Every language says everything that an answer about games can say: formulas, rules, reasons, flags."""

from __future__ import annotations

import pytest

from bot.cards.texts import spelled
from bot.ingest.rules import CountingRules
from bot.locales import SOURCE, catalogue
from bot.stats.compare import PERCENTILE_RULE
from bot.stats.form import FORM_RULE
from bot.stats.leaderboards import METRICS, WhyEmpty
from bot.stats.maps import ATTACK_RULE
from bot.stats.matches import WhyResult
from bot.stats.partners import PARTNER_RULE
from bot.stats.record_lines import DOUBTFUL, Grain
from bot.stats.sessions import ORDER_RULE
from bot.stats.weapons import FORMULAS, WeaponOrder
from parsers import MapResult, RoundFlag

OTHERS = sorted(set(catalogue().languages) - {SOURCE})


@pytest.mark.parametrize("tag", OTHERS)
def test_each_formula_and_rule_is_translated(tag: str) -> None:
    told = {metric.formula for metric in METRICS.values()} | set(FORMULAS.values())
    told |= {PERCENTILE_RULE, FORM_RULE, ATTACK_RULE, PARTNER_RULE, ORDER_RULE}
    assert told - set(catalogue().languages[tag].choices) == set()


def test_each_reason_flag_and_order_has_a_text() -> None:
    texts = catalogue().languages[SOURCE].texts
    reasons = {"bots", "few_players", "filler_map", "no_round_1"}
    wanted = {f"games.empty.{spelled(why.name)}" for why in WhyEmpty}
    wanted |= {f"games.why.{spelled(why.name)}" for why in WhyResult}
    wanted |= {f"games.flag.{spelled(flag)}" for flag in RoundFlag}
    wanted |= {f"games.excluded.{spelled(reason)}" for reason in reasons | set(DOUBTFUL)}
    wanted |= {f"games.by.{order}" for order in WeaponOrder}
    wanted |= {f"games.records.{grain}" for grain in Grain}
    assert wanted - set(texts) == set()
    assert len(MapResult) == len([key for key in texts if key.startswith("games.result.")]) - 1


def test_the_reasons_are_those_of_the_rules() -> None:
    rules = CountingRules(filler_maps=("mp_silly",))
    given = {
        rules.exclusion(map_name="mp_silly", axis=3, allies=3, bots=0, orphan=False),
        rules.exclusion(map_name="supply", axis=1, allies=0, bots=0, orphan=False),
        rules.exclusion(map_name="supply", axis=0, allies=0, bots=4, orphan=False),
        rules.exclusion(map_name="supply", axis=3, allies=3, bots=0, orphan=True),
    }
    assert given == {"filler_map", "few_players", "bots", "no_round_1"}
