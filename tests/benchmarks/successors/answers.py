"""What every echo answers, on whichever SDK."""

CARD = {
    "type": "AdaptiveCard",
    "version": "1.5",
    "body": [{"type": "TextBlock", "text": f"Line {number}", "wrap": True} for number in range(12)],
    "actions": [{"type": "Action.Execute", "title": "Confirm", "verb": "confirm", "data": {"mac": "805EC0112233"}}],
}
CARD_ANSWER = {"statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": CARD}


def echo(text: str) -> str:
    return f"you said {text}"
