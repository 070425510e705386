"""What only this paper computes: the matrix rule and its expectation, separated teachers, and measures of students."""
