"""imputevae: fills in missing SNP genotypes."""
