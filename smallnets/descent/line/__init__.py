"""Two-layer ReLU networks on a line whose kinks stay away from the data: exact training at a cost free of the width.

A network f(x) = c + sum_i w_i max(a_i x + b_i, 0) is trained on points x_j with shares nu_j. As long as every kink
-b_i/a_i lies closer to 0 than every point, the neurons with a_i > 0 are active on exactly the points x_j > 0 and
those with a_i < 0 on the others. With p_s, q_s slope and intercept of f on side s, and

    r_s = sum_j nu_j x_j (y_j - p_s x_j - q_s),   s_s = sum_j nu_j (y_j - p_s x_j - q_s)   (over the side's points)

a gradient step of size h is a <- a + h r w, b <- b + h s w, w <- w + h (r a + s b), c <- c + h (s_+ + s_-): the
same linear map for all neurons of a side. All of them are followed by following a basis of the space they span
(two vectors where all biases start at zero) and the second moments of their coordinates.

Whether some kink has reached a point is decided by few neurons. |b| < reach * a is a convex condition on (a, b, w),
so that it holds for all neurons if it holds for the vertices of the convex hull of (b/a, w/a): with zero
biases, for the neurons with the smallest and the largest w/a. The same test sees a neuron whose a changes sign.

===========  ==============================================================================
module       what it holds
===========  ==============================================================================
data         moments of points and of neurons by side; how a training may end
kernels      the compiled steps, of many networks side by side with their checks, and of one
certificate  the largest step size, and the condition under which no kink will reach a point
network      one network with its listed neurons, also after some have changed side
training     whole trainings of many networks
===========  ==============================================================================

**Source**: holzmuller2022training, Prop. C.2 and C.5, Rem. D.1; the test by vertices is derived here.
"""
