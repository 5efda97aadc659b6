"""What a person may give as a signing secret."""

from higgs_shop.webhook_output import BadSecret, sign


def secret_complaint(secret: str) -> str | None:
    """What is wrong with a signing secret, as the sentence of an error; None when nothing is."""
    try:
        sign([secret], webhook_id="", timestamp_seconds=0, body=b"")
    except BadSecret as error:
        return str(error)
    return None
