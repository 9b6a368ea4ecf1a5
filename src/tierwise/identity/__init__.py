"""Identity: which records are one person, and how is that taken apart again?

Reads: store (source_records, identities, people's blind indexes, decisions), lake (which records have come).
Writes: store (identity_edges, identities, identity_versions, linkings).
Extend: an identifier is declared (`tierwise.definitions.identity`); another kind of evidence is one more `Level`.
"""
