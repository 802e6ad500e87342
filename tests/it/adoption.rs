//! Set-ups where something is there already: adopted, kept, or refused.
