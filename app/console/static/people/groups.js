// Groups as a person types them: separated by commas or blanks.

export function groupsOf(text) {
  return text.split(/[\s,]+/).filter(Boolean);
}
