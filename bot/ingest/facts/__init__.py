"""Rounds, matches, sessions and players in the database: what is written when files arrive, in whatever order.

A round arriving changes its neighbours: a round 2 that waited becomes a differential, an unfinished match is finished,
two sessions become one. So each batch looks at the time around its rounds (`neighbourhood`), pairs and computes what
lies there (`numbers`), groups it (`sessions`, `matches`) by the rules of `bot.ingest.pairing`, and writes what differs
from before (`rounds`, `players`, `awards`). `writer` goes through all of that in order.
"""
