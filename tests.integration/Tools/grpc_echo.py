"""A gRPC service over raw bytes, real client and real server (grpcio's C core), with trailers and streams both ways.

    grpc_echo.py serve PORT CERT KEY
    grpc_echo.py call HOST:PORT ROOTS      (goes through https_proxy)
"""
import queue
import sys
from concurrent import futures

import grpc

SERVICE = "echo.Echo"


def serve(port, cert, key):
    def unary(request, context):
        if request == b"fail":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked")
        context.set_trailing_metadata((("echo-size", str(len(request))),))
        return request

    def stream(requests, context):
        count = 0
        for request in requests:
            count += 1
            yield request.upper()
        context.set_trailing_metadata((("echo-count", str(count)),))

    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.stream_stream_rpc_method_handler(stream),
    }
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    pair = (open(key, "rb").read(), open(cert, "rb").read())
    server.add_secure_port(f"0.0.0.0:{port}", grpc.ssl_server_credentials([pair]))
    server.start()
    print("serving", flush=True)
    server.wait_for_termination()


def call(target, roots):
    credentials = grpc.ssl_channel_credentials(open(roots, "rb").read())
    with grpc.secure_channel(target, credentials) as channel:
        unary = channel.unary_unary(f"/{SERVICE}/Unary")
        answer, done = unary.with_call(b"x" * 100_000, timeout=20)
        print("unary", len(answer), dict(done.trailing_metadata())["echo-size"])

        try:
            unary(b"fail", timeout=20)
        except grpc.RpcError as error:
            print("failure", error.code().name, error.details())

        # Each message is sent only after the answer to the one before: a proxy that held anything back would stop here.
        words = queue.Queue()
        words.put(b"one")
        answers = channel.stream_stream(f"/{SERVICE}/Stream")(iter(words.get, None), timeout=20)
        for answer, following in zip(answers, (b"two", b"three", None)):
            print("stream", answer.decode(), flush=True)
            words.put(following)
        print("trailers", dict(answers.trailing_metadata())["echo-count"])


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
