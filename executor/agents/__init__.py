"""Tools of agents as task functions: MCP servers, and Agent Zero instances.

configuration   which servers and instances there are
catalogue       which tools they have: listed, cached, listed again
schemas         checking parameters against a tool's JSON schema
transports      one MCP session with a server, over HTTP or with a process
connections     the sessions of a worker, kept open
calls           one call of a tool, and what became of it
agent_zero      one message to an Agent Zero instance, and its answer
ourselves       which addresses are this site's own
outgoing        HTTP that never goes where it must not

Nothing here is imported before something is configured: the MCP client takes a second to load.
"""
