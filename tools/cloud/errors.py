"""How a service refuses."""


class ApiError(Exception):
    """A refusal by the Bot API: its code, its description and, for some, parameters."""

    def __init__(self, code: int, description: str, parameters: dict | None = None):
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


class ModelError(Exception):
    """A refusal by a model's service.

    `kind` is the service's type of error, `name` its code (OpenAI only), `param` the parameter it
    complains of (OpenAI only), `retry_after` seconds or None.
    """

    def __init__(self, status, kind, message, name=None, param=None, retry_after=None):
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.name = name
        self.param = param
        self.retry_after = retry_after
