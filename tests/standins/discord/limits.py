"""Discord's limits, typed by hand from its documentation, and where its OpenAPI file speaks of the same ones.

https://discord.com/developers/docs/reference, with the pages on commands, messages, components and modals
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LOCALES", "TABLE", "Limit"]

# fmt: off
LOCALES = frozenset({
    "ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he", "hi", "hr", "hu", "id",
    "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE", "th", "tr", "uk", "vi", "zh-CN", "zh-TW",
})
# fmt: on

TABLE: list[Limit] = []


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Attributes:
        value: what is enforced here.
        places: in the OpenAPI file, below `components/schemas`: schema, property, keyword.
        file_says: what the file has instead, where it is looser than documentation or clients.
    """

    value: int
    places: tuple[str, ...] = ()
    file_says: int | None = None

    def __post_init__(self) -> None:
        TABLE.append(self)


_MESSAGE_SELECTS = tuple(
    f"{kind}SelectComponentForMessageRequest" for kind in ("String", "User", "Role", "Mentionable", "Channel")
)
_MODAL_INPUTS = ("TextInputComponentForModalRequest", "RadioGroupComponentForModalRequest")

# -- commands

CHAT_INPUT_COMMANDS = Limit(100)
USER_COMMANDS = Limit(15)
MESSAGE_COMMANDS = Limit(15)
COMMAND_CREATES_PER_DAY = Limit(200)
COMMAND_NAME = Limit(
    32, ("ApplicationCommandCreateRequest.name.maxLength", "ApplicationCommandStringOption.name.maxLength")
)
COMMAND_DESCRIPTION = Limit(
    100,
    (
        "ApplicationCommandCreateRequest.description.maxLength",
        "ApplicationCommandStringOption.description.maxLength",
        "ApplicationCommandSubcommandOption.description.maxLength",
    ),
)
COMMAND_OPTIONS = Limit(25, ("ApplicationCommandCreateRequest.options.maxItems",))
COMMAND_CHOICES = Limit(
    25, ("ApplicationCommandStringOption.choices.maxItems", "ApplicationCommandIntegerOption.choices.maxItems")
)
CHOICE_NAME = Limit(100, ("ApplicationCommandOptionStringChoice.name.maxLength",))
CHOICE_VALUE = Limit(100, ("ApplicationCommandOptionStringChoice.value.maxLength",), file_says=6000)
INTEGER_VALUE = Limit(2**53 - 1, ("Int53Type.maximum",))
OPTION_MIN_LENGTH = Limit(6000, ("ApplicationCommandStringOption.min_length.maximum",))
OPTION_MAX_LENGTH = Limit(6000, ("ApplicationCommandStringOption.max_length.maximum",))
LOCALIZATIONS = Limit(34, ("ApplicationCommandCreateRequest.name_localizations.maxProperties",))
WHOLE_COMMAND = Limit(8000)
AUTOCOMPLETE_CHOICES = Limit(25, ("InteractionApplicationCommandAutocompleteCallbackStringData.choices.maxItems",))

# -- messages

CONTENT = Limit(2000, ("MessageCreateRequest.content.maxLength",), file_says=4000)
WEBHOOK_CONTENT = Limit(2000, ("IncomingWebhookUpdateRequestPartial.content.maxLength",))
EMBEDS = Limit(10, ("MessageCreateRequest.embeds.maxItems",))
EMBED_TITLE = Limit(256, ("RichEmbed.title.maxLength",))
EMBED_DESCRIPTION = Limit(4096, ("RichEmbed.description.maxLength",))
EMBED_FIELDS = Limit(25, ("RichEmbed.fields.maxItems",))
FIELD_NAME = Limit(256, ("RichEmbedField.name.maxLength",))
FIELD_VALUE = Limit(1024, ("RichEmbedField.value.maxLength",))
EMBED_FOOTER = Limit(2048, ("RichEmbedFooter.text.maxLength",))
EMBED_AUTHOR = Limit(256, ("RichEmbedAuthor.name.maxLength",))
EMBED_URL = Limit(2048, ("RichEmbed.url.maxLength", "RichEmbedImage.url.maxLength"))
EMBED_COLOUR = Limit(0xFFFFFF, ("RichEmbed.color.maximum",))
EMBEDS_TOGETHER = Limit(6000)
FILES = Limit(10, ("MessageCreateRequest.attachments.maxItems",))
FILENAME = Limit(1024, ("MessageAttachmentRequest.filename.maxLength",))
ALT_TEXT = Limit(1024, ("MessageAttachmentRequest.description.maxLength",))
MENTIONS_LISTED = Limit(
    100, ("MessageAllowedMentionsRequest.users.maxItems", "MessageAllowedMentionsRequest.roles.maxItems")
)

# -- components

ROWS = Limit(5)
ROW_WIDTH = Limit(5, ("ActionRowComponentForMessageRequest.components.maxItems",))
CUSTOM_ID = Limit(
    100,
    (
        "ButtonComponentForMessageRequest.custom_id.maxLength",
        *(f"{name}.custom_id.maxLength" for name in (*_MESSAGE_SELECTS, *_MODAL_INPUTS)),
    ),
)
BUTTON_LABEL = Limit(80, ("ButtonComponentForMessageRequest.label.maxLength",))
BUTTON_URL = Limit(512, ("ButtonComponentForMessageRequest.url.maxLength",))
SELECT_OPTIONS = Limit(25, ("StringSelectComponentForMessageRequest.options.maxItems",))
SELECT_TEXT = Limit(
    100,
    (
        "StringSelectOptionForRequest.label.maxLength",
        "StringSelectOptionForRequest.value.maxLength",
        "StringSelectOptionForRequest.description.maxLength",
    ),
)
PLACEHOLDER = Limit(150, tuple(f"{name}.placeholder.maxLength" for name in _MESSAGE_SELECTS))
SELECT_MIN_VALUES = Limit(25, tuple(f"{name}.min_values.maximum" for name in _MESSAGE_SELECTS))
SELECT_MAX_VALUES = Limit(25, tuple(f"{name}.max_values.maximum" for name in _MESSAGE_SELECTS))
COMPONENTS_TOGETHER = Limit(40, ("MessageCreateRequest.components.maxItems",))
TEXT_TOGETHER = Limit(4000, ("TextDisplayComponentForMessageRequest.content.maxLength",))
SECTION_TEXTS = Limit(3, ("SectionComponentForMessageRequest.components.maxItems",))
GALLERY_ITEMS = Limit(10, ("MediaGalleryComponentForMessageRequest.items.maxItems",))
MEDIA_DESCRIPTION = Limit(1024, ("MediaGalleryItemRequest.description.maxLength",))
MEDIA_URL = Limit(2048, ("UnfurledMediaRequest.url.maxLength",))

# -- modals

MODAL_TITLE = Limit(45, ("ModalInteractionCallbackRequestData.title.maxLength",))
MODAL_CUSTOM_ID = Limit(100, ("ModalInteractionCallbackRequestData.custom_id.maxLength",))
MODAL_COMPONENTS = Limit(5, ("ModalInteractionCallbackRequestData.components.maxItems",), file_says=40)
LABEL = Limit(
    45, ("LabelComponentForModalRequest.label.maxLength", "TextInputComponentForModalRequest.label.maxLength")
)
LABEL_DESCRIPTION = Limit(100, ("LabelComponentForModalRequest.description.maxLength",))
INPUT_TEXT = Limit(
    4000,
    (
        "TextInputComponentForModalRequest.value.maxLength",
        "TextInputComponentForModalRequest.min_length.maximum",
        "TextInputComponentForModalRequest.max_length.maximum",
    ),
)
INPUT_PLACEHOLDER = Limit(100, ("TextInputComponentForModalRequest.placeholder.maxLength",))
RADIO_OPTIONS_LEAST = Limit(2, ("RadioGroupComponentForModalRequest.options.minItems",))
RADIO_OPTIONS = Limit(10, ("RadioGroupComponentForModalRequest.options.maxItems",))
CHECKBOX_OPTIONS = Limit(10, ("CheckboxGroupComponentForModalRequest.options.maxItems",))
FILE_UPLOADS = Limit(10, ("FileUploadComponentForModalRequest.max_values.maximum",))
