"""Second-order refinement: damped least squares on open-loop, then closed-loop residuals.

Adam leaves a small network with a one-step error that looks finished and a free run that drifts. A
few dozen Levenberg-Marquardt iterations on the free run itself remove the drift.
They run in float64 on the CPU, whichever engine did the updates.

`stages` holds the settings, `loop` the generator of records to read first, `solver` one iteration,
`problem` the residuals as a function of the parameters, `lift` what keeps ReLU units off their
kink, `jacobian` the derivatives, compiled. The bits do not depend on a thread count: see `blas`.
docs/experiments.md tells what was tried.
"""
