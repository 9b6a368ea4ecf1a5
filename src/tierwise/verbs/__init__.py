"""What the façade's verbs do, one file a group; each verb runs in the process that owns the engine.

Modules, in reading order:

- `opened`   what of a project is open: definitions, lake, store and, for a verb at work, the engine
- `through`  `reads` and `writes`: a method that is sent to the engine's owner when it is called elsewhere
- `declared` the definitions, read again when their files change
- `edited`   both states of the definitions, and who moves between them
- `planning` plan, concerned, diff, replay
- `browsing` overview, spread: what a page shows at once
- `importing` look, rehearse: a file before it is imported
- `asking`   show, table, evaluate, estimate, explain, sql
- `running`  run, refresh, absorb, compact
- `identifying` link, merge, split, why, report
- `earning`  what the rows are worth in points
- `queueing` jobs: add, list, get, cancel, retry
- `past`     history, backfill
- `valuing`  value: backtest
- `experimenting` experiments: power, analyse
- `hindsight` what was so at past instants, and what came afterwards
- `judging`  tierings: quality, suggest
- `reaching` channels: list, preview, test
- `erasing`  erase, finish: with the engine's file to themselves
- `received` what was received and said, as known now or by an instant

A new verb is a method with `reads` or `writes` above it, in a class whose only state is `opened` and that has the
name of its module; the module is named in `tierwise.project.GROUPS`, and the group hangs on the façade.
"""
