"""A report to look at and to send around: one HTML file with everything in it, figures as inline SVG.

What there may be stands in `contents`, what it is made from in `gather`, how it looks in `templates/`, `figures` and
`tables`.
"""
