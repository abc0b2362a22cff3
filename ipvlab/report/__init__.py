"""One result model, many forms: terminal and JSON here, the others as the issues ask for them."""
