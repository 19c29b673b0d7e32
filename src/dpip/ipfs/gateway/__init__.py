"""IPFS over HTTP, as specified at https://specs.ipfs.tech/http-gateways/.

`server.Gateway` is an ASGI application: the trustless gateway (blocks, CARs and IPNS records,
which the client checks) and the path gateway (files and directories, for clients that trust
it). A request becomes a `request.Request`, an answering module makes an `answer.Answer` of
it, and the server sends that. Only the server knows of ASGI.
"""
