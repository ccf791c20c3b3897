"""What a person sees: a checklist that fills in, plain lines, or JSON; and how a person answers."""
