"""`steersman demo rlaif`: a student generates, a teacher behind an API scores, the student learns, supervised."""
