"""The knowledge base: documents are split into chunks, which are found by their words and by their meaning.

formats/         a file's text as blocks with headings and positions
parsing          a file's content as pieces
isolated_reader  parsing in a separate process
splitting        blocks into pieces
sentences        sentence boundaries
embedder         vectors from texts, by the configured model
arrays           vectors in numpy and in the database
documents        add, remove, find, list
index_state      serialisation of writers, detection of changes
lexical          search by words, in the database
vectors          search by meaning, in a copy in each process
search           both, fused
reembedding      new vectors after a change of the embedder
expressions      filters over metadata
memory           texts that agents store, each owner's own
"""
