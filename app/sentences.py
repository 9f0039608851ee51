"""Say what is wrong with a value, in plain English."""

from pydantic_core import ErrorDetails

_SENTENCES = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_unicode": "is not valid Unicode",
    "string_too_short": "is empty",
    "string_too_long": "has more than {max_length} characters",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a JSON object",
    "too_short": "is empty",
    "too_long": "has more than {max_length} entries",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "json_invalid": "is not valid JSON",
    "extra_forbidden": "is unknown, remove it",
}


def what_is_wrong(error: ErrorDetails) -> str:
    """Return the rest of a sentence that begins with the field, like "must be true or false"."""
    sentence = _SENTENCES.get(error["type"])
    if sentence is not None:
        return sentence.format(**error.get("ctx", {}))
    message = error["msg"].removeprefix("Value error, ")
    begins_with_a_setting = message[1:2].isupper()
    return message if begins_with_a_setting else message[:1].lower() + message[1:]
