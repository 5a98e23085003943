"""The encoder, the decoders and their layers."""
