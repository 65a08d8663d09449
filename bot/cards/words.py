"""What stands on the pictures, in each language: one value with every text, handed in with the options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Forms = tuple[str, str]
"""Singular and plural."""


@dataclass(frozen=True, slots=True)
class Words:
    """The texts of one language; the defaults are English.

    Texts with `{}` are filled in by name. `metrics` and `formulas` go by the keys of `bot.stats.leaderboards.METRICS`;
    what they do not have is shown in that module's own English.
    """

    language: str = "en"
    decimal: str = "."
    thousands: str = ","
    percent: str = "%"
    date: str = "{day} {month} {year}"
    short_date: str = "{day} {month}"
    months: tuple[str, ...] = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    weekdays: tuple[str, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

    maps_count: Forms = ("map", "maps")
    rounds_count: Forms = ("round", "rounds")
    players_count: Forms = ("player", "players")
    shots_count: Forms = ("shot", "shots")
    kills_count: Forms = ("kill", "kills")

    team: str = "Team {label}"
    line_up: str = "Line-up {number}"
    won_by: str = "{winner} wins"
    draw: str = "Draw"
    undecided: str = "undecided"
    no_result: str = "No result: no map was decided"
    no_teams: str = "No teams: no round counts"
    and_more: str = "and {count} more"
    none: str = "none"

    maps: str = "Maps"
    players: str = "Players"
    players_by_value: str = "Players, most valuable first"
    first_attack: str = "1st attack"
    second_attack: str = "2nd attack"
    player_column: str = "Player"
    rounds_column: str = "Rounds"
    value_column: str = "Value"
    dpm: str = "DPM"
    kd: str = "K/D"
    accuracy: str = "Acc"
    damage: str = "Damage"
    revives: str = "Revives"
    kills: str = "Kills"
    deaths: str = "Deaths"
    headshots: str = "HS"

    attack_held: str = "full hold {time}"
    attack_gave_up: str = "gave up {time}"
    attack_aborted: str = "broken off {time}"
    attack_unknown: str = "{time}, winner unknown"
    attack_missing: str = "missing"
    not_counted: str = "not counted"
    left_out: str = "{rounds} not counted"
    session_not_counted: str = "Not in the statistics: only bots, too few people or filler maps"
    partial: str = "({rounds})"
    partial_note: str = "(n) = rounds played, where not all {rounds}"
    no_points: str = "\N{EN DASH} = undecided, or not played by the same two teams"
    hold_note: str = "full hold = the defenders held that attack for its whole limit"
    changed_teams: str = "A/B = changed teams"

    axis: str = "Axis"
    allies: str = "Allies"
    other_side: str = "No side"
    round_title: str = "Round {number}"
    attacked: str = "attacked"
    defended: str = "defended"
    attacked_first: str = "Attacked first"
    attacked_second: str = "Attacked second"
    played_both: str = "Played on both teams"
    won_first: str = "Won by those who attacked first"
    won_second: str = "Won by those who attacked second"
    winners: str = "{group}, winners"
    nobody: str = "No players"
    of_limit: str = "{time} of {limit}"
    reasons: Mapping[str, str] = field(
        default_factory=lambda: {
            "SECOND_HELD": "the first attack succeeded, the second was held",
            "SECOND_FASTER": "both attacks succeeded, the second within the first one's time",
            "FIRST_HELD": "the first attack was held, the second succeeded",
            "BOTH_HELD": "both attacks were held",
            "NO_ROUND_2": "round 2 is missing",
            "NO_ROUND_1": "round 1 is missing",
            "ABORTED": "a round was broken off",
            "WINNER_UNKNOWN": "a file does not say who won its round",
        }
    )

    form: str = "Form by session"
    average: str = "all {value}"
    rank_of: str = "#{rank} of {of}"
    rank_from: str = "from {rounds}"
    maps_won: str = "{won} maps won, {lost} lost, {drawn} drawn"
    seen: str = "seen {first} to {last}"
    no_rounds: str = "No counted rounds in this selection"
    time_played: str = "{time} played"

    comparison: str = "Comparison"
    percentile: str = "(n) = better than n % of the others; compared: {players} with at least {rounds}"

    minimum: str = "min. {parts}: {qualified} of {seen} players"
    empty: str = "No places"

    why_empty: Mapping[str, str] = field(default_factory=dict)

    timeline: str = "Attack times"
    timeline_note: str = "Bar: time attacked, line: time limit"
    map_note: str = "The latest {rounds}, from left to right"
    full_hold: str = "full hold"
    reached: str = "completed"
    gave_up: str = "gave up"
    broken_off: str = "broken off"
    unknown: str = "winner unknown"

    weapons: str = "Weapons"
    kill_share: str = "of all"
    most_kills_first: str = "Most kills first"
    headshots_basis: str = "Acc, HS: weapons that can score a headshot"

    all_time: str = "all time"
    on_map: str = "map {name}"
    on_server: str = "server {name}"
    all_servers: str = "all servers"
    as_of: str = "as of {when}"
    accuracy_basis: str = "Acc: weapons that can score a headshot"
    metrics: Mapping[str, str] = field(default_factory=dict)
    formulas: Mapping[str, str] = field(default_factory=dict)


EN = Words()

DE = Words(
    language="de",
    decimal=",",
    thousands=".",
    percent=" %",
    date="{day}. {month} {year}",
    short_date="{day}. {month}",
    months=("Jan", "Feb", "März", "Apr", "Mai", "Juni", "Juli", "Aug", "Sep", "Okt", "Nov", "Dez"),
    weekdays=("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"),
    maps_count=("Map", "Maps"),
    rounds_count=("Runde", "Runden"),
    players_count=("Spieler", "Spieler"),
    shots_count=("Schuss", "Schüsse"),
    kills_count=("Kill", "Kills"),
    team="Team {label}",
    line_up="Aufstellung {number}",
    won_by="{winner} gewinnt",
    draw="Unentschieden",
    undecided="offen",
    no_result="Kein Ergebnis: keine Map wurde entschieden",
    no_teams="Keine Teams: keine Runde zählt",
    and_more="und {count} weitere",
    none="keine",
    maps="Maps",
    players="Spieler",
    players_by_value="Spieler, die wertvollsten zuerst",
    first_attack="1. Angriff",
    second_attack="2. Angriff",
    player_column="Spieler",
    rounds_column="Runden",
    value_column="Wert",
    accuracy="Treffer",
    damage="Schaden",
    revives="Revives",
    kills="Kills",
    deaths="Tode",
    attack_held="Full Hold {time}",
    attack_gave_up="aufgegeben {time}",
    attack_aborted="abgebrochen {time}",
    attack_unknown="{time}, Sieger unbekannt",
    attack_missing="fehlt",
    not_counted="zählt nicht",
    left_out="{rounds} nicht gezählt",
    session_not_counted="Nicht in der Statistik: nur Bots, zu wenige Leute oder Füll-Maps",
    partial_note="(n) = gespielte Runden, wo nicht alle {rounds}",
    no_points="\N{EN DASH} = offen, oder nicht von denselben zwei Teams gespielt",
    hold_note="Full Hold = die Verteidiger hielten diesen Angriff bis zum Zeitlimit",
    changed_teams="A/B = wechselte das Team",
    axis="Achse",
    allies="Alliierte",
    other_side="Ohne Seite",
    round_title="Runde {number}",
    attacked="griff an",
    defended="verteidigte",
    attacked_first="Griff zuerst an",
    attacked_second="Griff als zweites an",
    played_both="Spielte in beiden Teams",
    won_first="Gewonnen von denen, die zuerst angriffen",
    won_second="Gewonnen von denen, die als zweite angriffen",
    winners="{group}, Sieger",
    nobody="Keine Spieler",
    of_limit="{time} von {limit}",
    reasons={
        "SECOND_HELD": "der erste Angriff gelang, der zweite wurde gehalten",
        "SECOND_FASTER": "beide Angriffe gelangen, der zweite in der Zeit des ersten",
        "FIRST_HELD": "der erste Angriff wurde gehalten, der zweite gelang",
        "BOTH_HELD": "beide Angriffe wurden gehalten",
        "NO_ROUND_2": "Runde 2 fehlt",
        "NO_ROUND_1": "Runde 1 fehlt",
        "ABORTED": "eine Runde wurde abgebrochen",
        "WINNER_UNKNOWN": "eine Datei sagt nicht, wer ihre Runde gewann",
    },
    form="Form je Abend",
    average="gesamt {value}",
    rank_of="{rank}. von {of}",
    rank_from="ab {rounds}",
    maps_won="{won} Maps gewonnen, {lost} verloren, {drawn} unentschieden",
    seen="gesehen {first} bis {last}",
    no_rounds="Keine gezählten Runden in dieser Auswahl",
    time_played="{time} gespielt",
    comparison="Vergleich",
    percentile="(n) = besser als n % der anderen; verglichen: {players} ab {rounds}",
    minimum="min. {parts}: {qualified} von {seen} Spielern",
    empty="Keine Plätze",
    why_empty={
        "NO_ROUNDS": "Es sind noch keine Runden gespeichert",
        "NOTHING_COUNTS": "Keine gespeicherte Runde zählt",
        "NO_SUCH_SERVER": "Einen Server dieses Namens gibt es nicht",
        "NO_SUCH_MAP": "Diese Map wurde nie gespielt",
        "NONE_IN_SCOPE": "Keine gezählten Runden in dieser Auswahl",
        "BELOW_MINIMUM": "Niemand erreicht das Minimum",
        "DOUBTFUL": "Die Zahlen aller gezählten Runden dieser Auswahl sind zweifelhaft",
        "NOT_USED": "Niemand benutzte sie in dieser Auswahl",
        "NOT_RECORDED": "Die Dateien dieser Runden sagen es nicht",
    },
    timeline="Angriffszeiten",
    timeline_note="Balken: Angriffszeit, Strich: Zeitlimit",
    map_note="Zuletzt {rounds}, von links nach rechts",
    full_hold="Full Hold",
    reached="geschafft",
    gave_up="aufgegeben",
    broken_off="abgebrochen",
    unknown="Sieger unbekannt",
    weapons="Waffen",
    kill_share="aller",
    most_kills_first="Die meisten Kills zuerst",
    headshots_basis="Treffer, HS: Waffen, die Kopftreffer zählen",
    all_time="gesamte Zeit",
    on_map="Map {name}",
    on_server="Server {name}",
    all_servers="alle Server",
    as_of="Stand {when}",
    accuracy_basis="Treffer: Waffen, die Kopftreffer zählen",
    metrics={
        "dpm": "Schaden pro Minute",
        "kd": "K/D",
        "kills": "Kills",
        "kills_per_round": "Kills pro Runde",
        "efficiency": "Effizienz",
        "accuracy": "Trefferquote",
        "headshot_percent": "Kopftreffer %",
        "headshot_kill_rate": "Kopfschuss-Kills",
        "damage_ratio": "Schadensverhältnis",
        "damage": "Schaden",
        "revives": "Revives pro Runde",
        "gibs": "Gibs",
        "gib_rate": "Gibs pro Kill",
        "alive_percent": "Am Leben",
        "useful_kill_percent": "Nützliche Kills",
        "denied_per_minute": "Verwehrte Zeit",
        "self_kills_per_round": "Selbsttötungen pro Runde",
        "team_damage_per_round": "Teamschaden pro Runde",
        "objectives": "Gelegte Dynamite",
        "xp": "XP",
        "rounds": "Runden",
        "playtime": "Spielzeit",
        "wins": "Gewonnene Maps",
        "win_percent": "Gewonnene Maps, %",
        "headshots": "Kopftreffer",
        "assists": "Assists",
        "killing_spree": "Längste Serie",
    },
    formulas={
        "dpm": "gegebener Schaden x 60 / Sekunden in einem Team",
        "kd": "Kills / Tode; ohne Tod die Kills selbst",
        "kills": "Summe der Kills, ohne Teamkills",
        "kills_per_round": "Kills / gespielte Runden",
        "efficiency": "100 x Kills / (Kills + Tode)",
        "accuracy": "100 x Treffer / Schüsse, mit den Waffen, die Kopftreffer zählen",
        "headshot_percent": "100 x Treffer am Kopf / Treffer, mit den Waffen, die Kopftreffer zählen",
        "headshots": "Summe der Treffer am Kopf, mit den Waffen, die Kopftreffer zählen",
        "headshot_kill_rate": "100 x Kills durch einen Treffer am Kopf / Kills",
        "damage_ratio": "gegebener Schaden / erhaltener Schaden",
        "damage": "Summe des Schadens an Gegnern",
        "revives": "gegebene Revives / Runden, deren Dateien Revives zählen",
        "gibs": "Summe der zerstörten Körper von Gegnern",
        "gib_rate": "Gibs / Kills",
        "alive_percent": "100 x Sekunden am Leben / Sekunden in einem Team",
        "useful_kill_percent": "100 x Kills, deren Opfer noch mindestens die halbe Respawn-Welle warten musste / Kills",
        "denied_per_minute": "Sekunden, die Opfer warten mussten, x 60 / Sekunden in einem Team",
        "self_kills_per_round": "Selbsttötungen / Runden; die wenigsten führen",
        "team_damage_per_round": "Schaden am eigenen Team / Runden; der geringste führt",
        "objectives": "Summe der gelegten Dynamite",
        "xp": "Summe der Erfahrungspunkte des Spiels",
        "rounds": "gespielte Runden, die zählen",
        "playtime": "Stunden in einem Team",
        "wins": "vollständige Matches, in deren zweiter Runde er im siegreichen Team war",
        "win_percent": "100 x gewonnene Maps / (gewonnene + verlorene + unentschiedene)",
        "killing_spree": "meiste Kills hintereinander ohne Tod, in einer Runde",
        "assists": "Summe der Gegner, die er höchstens 1,5 s vor dem Kill eines anderen traf",
    },
)

LANGUAGES = {words.language: words for words in (EN, DE)}
"""The languages that are here, by the first part of a locale."""


def words_for(locale: str | None) -> Words:
    """Return the texts for a locale such as `de` or `en-GB`; English where there are none."""
    return LANGUAGES.get((locale or "en").split("-")[0].lower(), EN)
