from lambda_stream import StreamingHandler

from tests.integration.streaming import apps

handler = StreamingHandler(apps.starlette_app())
