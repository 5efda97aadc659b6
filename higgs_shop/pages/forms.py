"""Every form of the store, and the only way in which one is read.

What is typed into a password or card field is compared and thrown away: such fields render empty or
with the demonstration's value, never with what was typed.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import email_validator
from flask import g, request
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    Field,
    HiddenField,
    IntegerField,
    PasswordField,
    SelectField,
    StringField,
    TelField,
    ValidationError,
)
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # stubs are behind
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Optional

from higgs_shop.idsync_service import STRATEGIES
from higgs_shop.inbox import MOST_NAME_CHARACTERS
from higgs_shop.mistakes import Mistake
from higgs_shop.shop import Product
from higgs_shop.shop.customers import DEMO_PASSWORD, password_matches
from higgs_shop.showing import secret_complaint, sentence

DEMO_CARD: Final = "4242 4242 4242 4242"
DEMO_EXPIRY: Final = "12 / 34"
DEMO_CVC: Final = "123"
DEMO_SHIPPING: Final = {
    "name": "Grace Field",
    "email": "grace.field@example.net",
    "address": "27 Collider Ring",
    "city": "Meyrin Falls",
    "state": "NY",
    "zip": "12116",
    "country": "United States",
}

_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().-]{4,24}", re.ASCII)


def is_first_wrong(control_id: str) -> bool:
    """Whether this is the first field with a mistake on the page: the browser is to lead there."""
    first: str = g.setdefault("first_wrong_control", control_id)
    return first == control_id


def _plain_text(_form: FlaskForm, field: Field) -> None:
    """No control characters and no half surrogates: databases and readers choke on them."""
    text = field.data or ""
    if any(character < " " or character == "\x7f" for character in text):
        raise ValidationError("Use letters, digits and punctuation only; no control characters.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValidationError("This holds a character that is not valid text. Type it again.")


def stripped(text: str | None) -> str | None:
    """Without the spaces around it, which nobody types on purpose."""
    return text.strip() if isinstance(text, str) else text


def _email_address(_form: FlaskForm, field: Field) -> None:
    try:
        found = email_validator.validate_email(
            field.data or "", check_deliverability=False, test_environment=True
        )
    except email_validator.EmailNotValidError as error:
        raise ValidationError("Enter an e-mail address such as ada@example.com.") from error
    field.data = found.normalized


def _phone_number(_form: FlaskForm, field: Field) -> None:
    if not _PHONE.fullmatch(field.data or ""):
        raise ValidationError("Enter a phone number such as +1 212 555 0100, or leave it empty.")


def _text(label: str, most: int, *, kind: type[StringField] = StringField) -> Any:
    return kind(
        label,
        filters=[stripped],
        validators=[
            DataRequired(f"Enter the {label.lower()}."),  # spaces alone are nothing
            Length(max=most, message=f"Use at most {most} characters."),
            _plain_text,
        ],
    )


def _email_field() -> Any:
    return EmailField(
        "E-mail",
        filters=[stripped],
        validators=[
            InputRequired("Enter an e-mail address."),
            Length(max=254, message="Use at most 254 characters."),
            _plain_text,
            _email_address,
        ],
    )


def _phone_field() -> Any:
    return TelField(
        "Phone",
        filters=[stripped],
        description="Optional",
        validators=[Optional(strip_whitespace=True), _plain_text, _phone_number],
    )


class Form(FlaskForm):  # type: ignore[misc]  # the library is untyped
    """What all forms of the store have in common: CSRF is checked, and only form fields are read.

    (The library would read uploaded files and JSON as well; a field would then hold what is no text.)
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("formdata", request.form if request.method == "POST" else None)
        super().__init__(**options)

    def note_mistakes(self, mistakes: Iterable[Mistake]) -> None:
        """Put each where it was made: what a field holds is refused elsewhere than in the form."""
        for mistake in mistakes:
            self[mistake.field].errors = [sentence(mistake.reason)]


class BareForm(Form):
    """A form with nothing to fill in but its button: CSRF is checked, nothing else is read."""


class _WholeNumber(IntegerField):
    """Says once, in our words, what is wrong; the library would say in its own what is no number."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            self.data = None


class QuantityForm(Form):
    """How many of a line."""

    quantity = _WholeNumber(
        "Quantity",
        default=1,
        validators=[
            InputRequired("Enter a whole number from 1 to 99."),
            NumberRange(1, 99, "Enter a whole number from 1 to 99."),
        ],
    )


class AddToCartForm(QuantityForm):
    """What to put into the cart. Made by `add_to_cart_form`, with the product's own choices."""

    product_id = HiddenField(validators=[InputRequired()])


def add_to_cart_form(product: Product) -> AddToCartForm:
    """The form for this product: with a colour and a size field only where there is a choice."""

    class OfThisProduct(AddToCartForm):
        pass

    for name, choices in (("color", product.colors), ("size", product.sizes)):
        if choices:
            options = [SelectChoice(choice) for choice in choices]
            if len(options) > 1:
                options.insert(0, SelectChoice("", f"Choose a {name}"))
            field = SelectField(
                name.capitalize(),
                choices=options,
                validators=[InputRequired(f"Choose a {name}.")],
                validate_choice=True,
            )
            setattr(OfThisProduct, name, field)
    return OfThisProduct()


class SignInForm(Form):
    """User id or e-mail, and the demo password."""

    user_id = StringField(
        "User id or e-mail",
        filters=[stripped],
        validators=[
            InputRequired("Enter a user id or an e-mail address."),
            Length(max=254, message="Use at most 254 characters."),
            _plain_text,
        ],
    )
    password = PasswordField("Password", validators=[InputRequired("Enter the demo password.")])
    next = HiddenField()

    def validate_password(self, field: Field) -> None:
        """Compared, then forgotten."""
        typed, field.data = field.data or "", None
        if not password_matches(typed):
            raise ValidationError(
                f"That is not the demo password. Every account here uses {DEMO_PASSWORD}."
            )


class SignUpForm(Form):
    """A new account. The password is the demo password; none is asked for."""

    name = _text("Name", 80)
    email = _email_field()
    phone = _phone_field()
    wants_marketing = BooleanField("Send me news about new particles")


class ProfileForm(Form):
    """What customers may change about themselves."""

    name = _text("Name", 80)
    email = _email_field()
    phone = _phone_field()


class ShippingForm(Form):
    """Where the order would go, if it were real."""

    name = _text("Name", 80)
    email = _email_field()
    address = _text("Address", 120)
    city = _text("City", 80)
    state = _text("State", 40)
    zip = _text("Zip code", 12)
    country = _text("Country", 60)


class PaymentForm(Form):
    """The demonstration card, and no other."""

    card_number = StringField("Card number", validators=[InputRequired("Use the demo card.")])
    expiry = StringField("Expiry date", validators=[InputRequired("Use the demo card's date.")])
    cvc = StringField(
        "Security code",
        validators=[InputRequired("Use the demo code.")],
    )

    def validate_card_number(self, field: Field) -> None:
        """Compared, then forgotten."""
        self._compare(
            field, DEMO_CARD, f"Nothing is charged here, so only the demo card {DEMO_CARD} works."
        )

    def validate_expiry(self, field: Field) -> None:
        """Compared, then forgotten."""
        self._compare(field, DEMO_EXPIRY, f"The demo card is valid until {DEMO_EXPIRY}.")

    def validate_cvc(self, field: Field) -> None:
        """Compared, then forgotten."""
        self._compare(field, DEMO_CVC, f"The demo card's code is {DEMO_CVC}.")

    def _compare(self, field: Field, wanted: str, complaint: str) -> None:
        typed, field.data = field.data or "", wanted
        if re.sub(r"[\s/-]", "", typed) != re.sub(r"[\s/-]", "", wanted):
            raise ValidationError(complaint)


class OperatorForm(Form):
    """Who may look at the observing pages."""

    token = PasswordField("Operator token", validators=[InputRequired("Enter the token.")])
    next = HiddenField()


class WorkspaceForm(Form):
    """The settings of a workspace, as texts. What may stand in them is checked by `workspaces`."""

    identity_strategy = SelectField(
        "Strategy",
        choices=[SelectChoice(name) for name in STRATEGIES],
        default="profile_conversion",
        validate_choice=False,
    )
    login_ids = StringField("Login IDs", filters=[stripped])
    unique_ids = StringField("Unique IDs", filters=[stripped])
    immutable_ids = StringField("Immutable IDs", filters=[stripped])
    identity_priority = StringField("Priority", filters=[stripped])
    api_key = StringField("API key", filters=[stripped])
    api_secret = StringField("API secret")

    @property
    def texts(self) -> dict[str, str]:
        """What was typed, by the name of the setting."""
        return {name: text or "" for name, text in self.data.items() if name != "csrf_token"}


class DialForm(Form):
    """How an inbox answers, as texts. What may stand in them is checked by `inbox.Dial`."""

    status = StringField("Status", filters=[stripped])
    retry_after_seconds = StringField("Retry-After, in seconds", filters=[stripped])
    delay_ms = StringField("Delay, in milliseconds", filters=[stripped])
    times = StringField("For so many requests", filters=[stripped])
    drop_connection = BooleanField("Drop the connection, without an answer")

    @property
    def given(self) -> dict[str, Any]:
        """What was filled in, by the name of the dial's field."""
        return {name: value for name, value in self.data.items() if value and name != "csrf_token"}


class PresetForm(Form):
    """A dial by its name, which the button that is pressed brings along."""

    preset = StringField()


class SigningSecretForm(Form):
    """What an inbox checks signatures with; empty: nothing."""

    signing_secret = PasswordField("Signing secret", filters=[stripped])

    def validate_signing_secret(self, field: Field) -> None:
        """Never shown again, so a mistake is told without it."""
        complaint = secret_complaint(field.data) if field.data else None
        if complaint:
            raise ValidationError(sentence(complaint))


class InboxSessionForm(SigningSecretForm):
    """Another inbox beside the store's own."""

    name = StringField(
        "Name",
        filters=[stripped],
        description="Optional",
        validators=[
            Length(
                max=MOST_NAME_CHARACTERS, message=f"Use at most {MOST_NAME_CHARACTERS} characters."
            ),
            _plain_text,
        ],
    )


class NewWorkspaceForm(WorkspaceForm):
    """A workspace that is not there yet."""

    id = StringField("Name", filters=[stripped])
