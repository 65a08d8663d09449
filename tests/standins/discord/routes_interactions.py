"""Routes of interactions: the first answer, and what follows under the same token."""

from __future__ import annotations

from tests.standins.discord.errors import ApiError
from tests.standins.discord.interactions import Interaction
from tests.standins.discord.model import Json
from tests.standins.discord.rest import Answer, Request, route

FOLLOW_UP = "/webhooks/{webhook_id}/{webhook_token}"
ORIGINAL = FOLLOW_UP + "/messages/@original"
MESSAGE = FOLLOW_UP + "/messages/{message_id}"


@route("POST", "/interactions/{interaction_id}/{interaction_token}/callback", by_token_in_path=True)
def callback(request: Request) -> Answer:
    interaction = request.world.interactions.get(request.id("interaction_id"))
    if interaction is None or interaction.token != request.params["interaction_token"]:
        raise ApiError(404, 10062)
    interaction.respond(request.body, request.files)
    if request.query.get("with_response", "").lower() in ("1", "true"):
        return Answer(200, interaction.callback_payload())
    return Answer(204)


def _interaction(request: Request) -> Interaction:
    token = request.params["webhook_token"]
    found = next((one for one in request.world.interactions.values() if one.token == token), None)
    if found is None or request.id("webhook_id") != request.world.application_id:
        raise ApiError(404, 10015)
    return found


@route("POST", FOLLOW_UP, by_token_in_path=True)
def follow_up(request: Request) -> Json | None:
    message = _interaction(request).follow_up(request.body, request.files)
    # Other webhooks answer with nothing unless asked to wait; an interaction's always tells the message.
    return message.payload()


@route("GET", ORIGINAL, by_token_in_path=True)
def get_original(request: Request) -> Json:
    return _interaction(request).message("@original").payload()


@route("PATCH", ORIGINAL, by_token_in_path=True)
def edit_original(request: Request) -> Json:
    return _edit(request, "@original")


@route("DELETE", ORIGINAL, by_token_in_path=True)
def delete_original(request: Request) -> None:
    request.world.delete_message(_interaction(request).message("@original"))


@route("GET", MESSAGE, by_token_in_path=True)
def get_message(request: Request) -> Json:
    return _interaction(request).message(str(request.id("message_id"))).payload()


@route("PATCH", MESSAGE, by_token_in_path=True)
def edit_message(request: Request) -> Json:
    return _edit(request, str(request.id("message_id")))


@route("DELETE", MESSAGE, by_token_in_path=True)
def delete_message(request: Request) -> None:
    request.world.delete_message(_interaction(request).message(str(request.id("message_id"))))


def _edit(request: Request, name: str) -> Json:
    return _interaction(request).edit(name, request.body, request.files).payload()
