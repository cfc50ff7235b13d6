"""What the requests of both dialects have in common: messages of a role and a content."""


def words(content) -> str:
    """The words of a content, which is a text or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def question(body) -> str:
    """The last user text of a request's body."""
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            return words(message.get("content"))
    return ""
