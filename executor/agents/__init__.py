"""Tools of agents as task functions: MCP servers and Agent Zero instances.

configuration     the configured servers and instances
catalogue         the tools of the servers: listed, cached, refreshed
schemas           validation of parameters by a tool's JSON schema
transports        one MCP session with a server, over HTTP or with a child process
connections       the sessions that a worker keeps open
calls             one call of a tool
agent_zero        one message to an Agent Zero instance, and its answer
agent_zero_chat   a chat with an instance through its API
delivery_marker   record of a message whose fate is unknown
outgoing          HTTP that reaches permitted addresses only
self_address      detection of this site's own addresses

Nothing here is imported before a server or instance is configured: the MCP client takes a second to load.
"""
