"""The forms of the connections: what an output is set to, what signs, and what is delivered again."""

from datetime import UTC, datetime
from typing import Any, Final

from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    PasswordField,
    SelectField,
    StringField,
    ValidationError,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # stubs are behind
from wtforms.widgets import DateTimeLocalInput, HiddenInput

from higgs_shop.pages.forms import Form, stripped

_MOST_DIGITS: Final = 17


class OutputForm(Form):
    """The settings of a webhook output, as texts. What may stand in them is checked by `outputs`."""

    is_active = BooleanField("Active")
    url = StringField("POST URL", filters=[stripped])
    authorization = PasswordField("Authorization header", filters=[stripped])
    forgets_authorization = BooleanField("Send no Authorization header any more")
    unique_id = StringField("Unique ID", filters=[stripped])
    include_device_id = BooleanField("Include MP DeviceId")
    send_as_batch = BooleanField("Send as Batch")
    wait_for_session = BooleanField("Wait for complete session")
    send_custom_events = BooleanField("Send Custom Events")
    send_screen_views = BooleanField("Send Screen View Events")
    send_commerce_events = BooleanField("Send Commerce Events")
    send_lifecycle_events = BooleanField("Send Lifecycle Events")
    send_crash_reports = BooleanField("Send Crash Events")
    send_network_performance = BooleanField("Send Network Performance Events")
    send_push_events = BooleanField("Send Push Events")
    send_user_attribute_changes = BooleanField("Send User Attribute Change Events")
    send_user_identity_changes = BooleanField("Send User Identity Change Events")
    send_alias_requests = BooleanField("Send Alias Requests")
    send_batches_without_events = BooleanField("Send Batches without Events")
    include_metadata = BooleanField("Include Metadata")
    left_out_metadata = StringField("Metadata to leave out", filters=[stripped])
    include_location = BooleanField("Include Location")
    include_batch_location = BooleanField("Include Event Batch Location")
    hash_email_addresses = BooleanField("Hash E-mail Addresses")

    @property
    def texts(self) -> dict[str, str]:
        """What was filled in, by the name of the setting; a switch is `on` or `off`."""
        return {
            name: {True: "on", False: "off"}.get(value, value or "")
            for name, value in self.data.items()
            if name not in {"csrf_token", "forgets_authorization"}
        }


class NewOutputForm(Form):
    """An output that is not there yet: its name and where it posts. All else is as usual."""

    name = StringField("Name", filters=[stripped])
    url = StringField("POST URL", filters=[stripped])

    @property
    def texts(self) -> dict[str, str]:
        """What was typed, by the name of the setting."""
        return {"name": self.name.data or "", "url": self.url.data or ""}


class SecretForm(Form):
    """Another signing secret; empty: one is made."""

    secret = PasswordField("Secret", filters=[stripped])


class KnownSecretForm(Form):
    """Which secret is taken away, by its fingerprint."""

    fingerprint = HiddenField()


class _MomentField(Field):
    """A moment in ISO 8601, read as UTC milliseconds; without a zone, it is UTC. Empty: None."""

    data: int | None
    widget = DateTimeLocalInput()

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = valuelist[0].strip() if valuelist else ""
        self.data = None
        if text:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise ValueError("Enter a moment such as 2026-03-01T10:15.") from None
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            self.data = round(aware.timestamp() * 1_000)

    def _value(self) -> str:
        # As browsers want it, and nothing that cannot be read: they would complain.
        if self.data is None:
            return ""
        moment = datetime.fromtimestamp(self.data / 1_000, UTC)
        return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")


class _NumberField(Field):
    """The number of something that is stored, which the page brings along. Empty: None."""

    data: int | None
    widget = HiddenInput()

    def process_formdata(self, valuelist: list[Any]) -> None:
        text = valuelist[0] if valuelist else ""
        self.data = None
        if text:
            if not (text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS):
                raise ValueError("This is no number of a message.")
            self.data = int(text)

    def _value(self) -> str:
        return str(self.raw_data[0]) if self.raw_data else ""


class ReplayForm(Form):
    """Which messages are delivered again; it is sent as a question first."""

    what = SelectField(
        "What",
        choices=[
            SelectChoice("dead", "Dead letters"),
            SelectChoice("all", "Dead letters, and what was delivered"),
        ],
        default="dead",
        validate_choice=False,
    )
    since = _MomentField("Since (UTC)")
    until = _MomentField("Before (UTC)")
    message = _NumberField()

    def validate_until(self, field: Field) -> None:
        """A range has a length."""
        if field.data is not None and self.since.data is not None and field.data <= self.since.data:
            raise ValidationError("This has to come after the other moment.")
