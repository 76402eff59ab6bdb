"""The kinds of input that are read by way of VCF text, a module each."""
