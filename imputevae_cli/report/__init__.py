"""Pages, figures and tables for people: of an imputation, an evaluation, a study."""
