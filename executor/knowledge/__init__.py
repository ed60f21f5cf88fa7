"""The knowledge base: documents come in, are split into chunks, and are found by their words and by their meaning.

formats/      the text of a file, in blocks with their headings and places
splitting     blocks into chunks
embedder      the meaning of a text as a vector
documents     add, remove, list
lexical       chunks by their words, in the database
vectors       chunks by their meaning, in a copy that each process keeps
search        both, fused
expressions   filters over metadata
"""
