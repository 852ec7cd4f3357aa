"""Every arm in words: the row's name in the tables, its name in plain English, its definition, and
the row that it is held against on the evidence pages.

A method is held against its cheapest control, a control against what it changes.
"""

import re

_TEXT = """
[baselines]
joint: joint concat
  One linear layer on the features of both encoders side by side, trained with one loss.
joint-unimodal: joint + unimodal losses
  Joint concat, with a loss for each modality's own logits beside the common one.
  against: joint
ensemble: two networks, logits added
  Two networks that are trained apart, one a modality; their logits are added at test time.
  against: joint-late
ogm-ge: OGM-GE
  Joint concat; in every step the modality that is ahead has its encoder's gradient scaled down,
  and both encoders get noise as large as their gradient.
  against: ogm-ge-noise
joint-late: joint, a head for each modality
  Two networks, one a modality, whose logits are added and trained with the one common loss.
  against: joint
ensemble, joint's rate: two networks, logits added, at joint concat's rate
  Two networks that are trained apart, at the learning rate that is best for joint concat.
  against: joint
joint, OGM-GE's rate: joint concat, at OGM-GE's rate
  Joint concat at the learning rate that is best for OGM-GE.
  against: ogm-ge
joint, 30 epochs: joint concat, twice as long
  Joint concat for 30 epochs in place of 15.
  against: joint
ogm-ge-noise: OGM-GE's noise without its brake
  OGM-GE with alpha 0: no gradient is scaled down, both encoders still get the noise.
  against: ogm-ge
[valuation]
valuation: sample valuation
  Joint concat; after each epoch every sample gets masked copies, as many for each modality as its
  low contribution to that sample asks for.
  against: valuation-random
valuation-modality: modality valuation
  As sample valuation, but the contributions' mean decides: random samples are copied, and only for
  the modality that contributes less.
  against: valuation
valuation-random: as many copies, at random
  As many copies in all as sample valuation would make, by the contributions in this arm's own
  network, of random samples, each for a random modality.
  against: valuation
valuation-random-samples: as many copies, of random samples
  As many copies for each modality as sample valuation would make, by the contributions in this
  arm's own network, but of samples drawn at random.
  against: valuation
joint, same steps: joint concat, as many steps as valuation
  Joint concat for as many updates as sample-level valuation takes with its copies.
  against: valuation
joint, same steps and rate: joint concat, valuation's steps and rate
  Joint concat for as many updates as sample-level valuation takes, at its learning rate.
  against: valuation
joint-unimodal, same steps: unimodal losses, as many steps as valuation
  Joint + unimodal losses for as many updates as sample-level valuation takes with its copies.
  against: valuation
valuation, inputs masked: valuation with masked inputs
  Sample valuation in which a masked modality's input is zero, not its feature.
  against: valuation
valuation, mean filler: valuation with mean features
  Sample valuation in which the mean feature stands for a masked modality, not zero.
  against: valuation
valuation, 0/1 pay-off: valuation with pay-off 0 or 1
  Sample valuation in which a set of modalities that is right is paid 1, whatever its size.
  against: valuation
joint-unimodal, 45 epochs: unimodal losses, three times as long
  Joint + unimodal losses for 45 epochs in place of 15.
  against: joint-unimodal
[boosting]
boosting: sustained boosting
  A head of its own for each modality, updated in turn; every second epoch the modality that is
  behind gets one more classifier, and all classifiers go on learning.
  against: base, weak loss x 3
boosting-base: boosting's base
  Sustained boosting in which no classifier is ever added.
  against: boosting
base, weak loss x 3: one classifier, a heavier loss
  Boosting's base with three times the loss on the picture, which added classifiers bring, too.
  against: boosting
fixed number: a fixed number of classifiers
  Boosting's base in which the picture has nine classifiers from the start: as many as boosting
  ends with.
  against: boosting
boosting, weak loss's rate: boosting, at the heavier loss's rate
  Sustained boosting at the learning rate that is best for one classifier with a heavier loss.
  against: base, weak loss x 3
boosting-base, weak loss's rate: boosting's base, at the heavier loss's rate
  Boosting's base at the learning rate that is best for one classifier with a heavier loss.
  against: base, weak loss x 3
boosting, fixed number's rate: boosting, at the fixed number's rate
  Sustained boosting at the learning rate that is best for a fixed number of classifiers.
  against: fixed number
boosting-frozen: boosting, added classifiers frozen
  Sustained boosting in which added classifiers stay at their random start, as in the released code.
  against: boosting
residual only: boosting, residual loss alone
  Sustained boosting with one term of its loss: the newest classifier against the residual label.
  against: boosting
all only: boosting, loss of all alone
  Sustained boosting with one term of its loss: the cross-entropy of all classifiers together.
  against: boosting
previous only: boosting, loss of the previous alone
  Sustained boosting with one term of its loss: that of all classifiers but the newest.
  against: boosting
smoothing 0: boosting, plain label
  Sustained boosting with smoothing 0: the newest classifier learns the plain label.
  against: boosting
smoothing 1: boosting, full residual label
  Sustained boosting with smoothing 1: what the others know is taken off the label in full.
  against: boosting
[detached]
detached: detached learning, DI-MML
  Each encoder learns from losses of its own, through its own head and one shared by all, and is
  pulled towards the other on dimensions where that is better; at last a fusion head on top.
  against: isolated
isolated: detached, heads of their own only
  Detached learning with neither shared head nor contrast: two networks and a fusion head.
  against: detached
no contrast: detached without contrast
  Detached learning without the pull towards the other modality's features.
  against: detached
no shared head: detached without a shared head
  Detached learning without the head that both modalities train.
  against: detached
permuted labels: detached, dimensions of permuted labels
  Detached learning whose dimensions are those that are effective for labels dealt at random.
  against: detached
random dimensions: detached, random dimensions
  Detached learning on as many dimensions, drawn at random.
  against: detached
normalised features: detached, features of length 1
  Detached learning whose contrast compares features of length 1; rate and temperature are tuned.
  against: detached, normalised's rate
detached, normalised's rate: detached, at normalised features' rate
  Detached learning at the learning rate that is best with features of length 1.
  against: normalised features
[gap]
gap: GMM gap loss (our reading)
  Joint + unimodal losses; after a warm-up a mixture of two Gaussians over the modalities' gap tells
  imbalanced samples, whose gap is made smaller, from balanced ones, whose fusion counts more.
  against: gap, permuted posterior
gap, one-sided: gap loss that pulls up only
  The gap loss whose gradient reaches the weaker modality's score alone; rate and weight are tuned.
  against: gap, one-sided's rate
gap, one-sided's rate: gap loss, at the one-sided loss's rate
  The gap loss at the learning rate that is best for the loss that pulls up only.
  against: gap, one-sided
gap's base: gap loss without its terms
  Joint + unimodal losses with the gap loss's learning rate: neither weights, penalty nor pull.
  against: gap
gap's base, one-sided's rate: the same, at the one-sided loss's rate
  Joint + unimodal losses with the learning rate of the gap loss that pulls up only.
  against: gap, one-sided
penalty only: gap penalty alone, tuned
  The gap loss with its penalty alone, the same for every sample: the mixture only says from when
  on, since a degenerate one puts it off, as the warm-up does. Rate and weight are tuned.
  against: gap
penalty only, gap's weight: gap penalty alone
  The same with the gap loss's own rate and weight.
  against: gap's base
shift only: shift term alone
  The gap loss with the pull of imbalanced samples towards the balanced component alone.
  against: gap
weights only: weights alone
  The gap loss with the weights of the fusion loss alone: neither penalty nor pull.
  against: gap
gap, permuted posterior: gap loss, posteriors permuted
  The gap loss with the same posteriors, dealt to the samples at random whenever the mixture is
  fitted: once an epoch after the warm-up.
  against: gap
gap, hard posterior: gap loss, posteriors 0 or 1
  The gap loss with every posterior rounded.
  against: gap
ensemble, gap's rate: two networks, logits added, at the gap loss's rate
  Two networks that are trained apart, at the gap loss's learning rate.
  against: gap
gap, v1 weights: gap loss, first version's weights
  The gap loss in which the posterior weighs the penalty alone, as in the paper's first version.
  against: gap
gap, no warm-up: gap loss from the first epoch
  The gap loss without a warm-up.
  against: gap
purified: fine-tuned on balanced samples
  Joint + unimodal losses whose last two epochs, at a tenth of the rate, see only the samples that
  the mixture calls balanced.
  against: purified at random
purified at random: fine-tuned on random samples
  The same last two epochs, on as many samples drawn at random.
  against: joint-unimodal
[cal]
cal: CAL with AIB (our reading)
  Joint + unimodal losses; the modality that contributes more has its encoder accelerated, the one
  that contributes less has its code compressed by a bottleneck.
  against: both uniform
bottlenecks, no more: bottlenecks alone
  CAL with neither acceleration nor compression: joint + unimodal losses on random codes.
  against: cal
acceleration only: acceleration alone
  CAL without compression.
  against: uniform acceleration
uniform acceleration: even acceleration alone
  CAL without compression, both encoders accelerated alike.
  against: bottlenecks, no more
inverse acceleration: inverse acceleration alone
  CAL without compression, the encoder that contributes less accelerated more.
  against: acceleration only
compression only: compression alone
  CAL without acceleration.
  against: uniform compression
uniform compression: even compression alone
  CAL without acceleration, both codes compressed alike.
  against: bottlenecks, no more
both uniform: CAL with even contributions
  CAL in which both modalities count as contributing the same.
  against: cal
cal, no information: CAL by confidence alone
  CAL whose contribution is the share of confidence; information has no say.
  against: cal
cal, no confidence: CAL by information alone
  CAL whose contribution is the share of information; confidence has no say.
  against: cal
cal, swapped: CAL, contributions swapped
  CAL in which each modality gets the other one's contribution.
  against: cal
cal, beta x 10: CAL, ten times the compression
  CAL with ten times the weight on both divergences.
  against: cal
cal, beta / 10: CAL, a tenth of the compression
  CAL with a tenth of the weight on both divergences.
  against: cal
cal, uneven: CAL at temperature 1/20
  CAL whose contributions are far from even: the temperature of their softmax is a fifth.
  against: both uniform
cal, swapped, uneven: CAL at temperature 1/20, contributions swapped
  The same, where each modality gets the other one's contribution.
  against: cal, uneven
acceleration only, uneven: acceleration alone at temperature 1/20
  CAL at temperature 1/20 without compression.
  against: uniform acceleration
inverse acceleration, uneven: inverse acceleration alone at temperature 1/20
  The same, the encoder that contributes less accelerated more.
  against: acceleration only, uneven
compression only, uneven: compression alone at temperature 1/20
  CAL at temperature 1/20 without acceleration.
  against: uniform compression
joint-unimodal, CAL's options: unimodal losses, at CAL's rate and weight
  Joint + unimodal losses with the learning rate and the weight of the unimodal losses that CAL has.
  against: bottlenecks, no more
cal, even acceleration: CAL, even acceleration
  CAL with both encoders accelerated alike; compression goes by contribution.
  against: cal
cal, even compression: CAL, even compression
  CAL with both codes compressed alike; acceleration goes by contribution.
  against: cal
[cal, clipped]
cal, clipped: CAL, gradients clipped
  CAL with a bound on the norm of the whole gradient.
  against: both uniform, clipped
bottlenecks, clipped: bottlenecks alone, gradients clipped
  CAL with neither acceleration nor compression, with the same bound.
  against: cal, clipped
uniform compression, clipped: even compression alone, gradients clipped
  CAL without acceleration, both codes compressed alike, with the same bound.
  against: bottlenecks, clipped
both uniform, clipped: CAL with even contributions, gradients clipped
  CAL in which both modalities count as contributing the same, with the same bound.
  against: cal, clipped
joint-unimodal, clipped: unimodal losses, gradients clipped
  Joint + unimodal losses with the same bound.
  against: joint-unimodal
joint-unimodal, CAL's options, clipped: unimodal losses, at CAL's rate and weight, clipped
  Joint + unimodal losses with CAL's learning rate, weight of the unimodal losses, and bound.
  against: bottlenecks, clipped
cal, half the rate: CAL at half the rate
  CAL at half its learning rate, gradients not clipped.
  against: both uniform, half the rate
bottlenecks, half the rate: bottlenecks alone, half the rate
  CAL with neither acceleration nor compression, at half the learning rate.
  against: cal, half the rate
both uniform, half the rate: CAL with even contributions, half the rate
  CAL in which both modalities count as contributing the same, at half the learning rate.
  against: cal, half the rate
[combinations]
valuation + unimodal losses: valuation + unimodal losses
  Sample valuation, with a loss for each modality's own logits.
  against: random copies + unimodal losses
random copies + unimodal losses: random copies + unimodal losses
  The same, with as many copies for each modality, of random samples.
  against: valuation + unimodal losses
two networks + unimodal losses: two networks + unimodal losses
  Two networks whose logits are added, a common loss and one for each network.
  against: ensemble, that rate
ensemble, that rate: two networks, logits added, at that rate
  Two networks that are trained apart, at the learning rate of two networks + unimodal losses.
  against: two networks + unimodal losses
two networks + gap loss: two networks + gap loss
  Two networks whose logits are added, trained with the gap loss.
  against: two networks, permuted posterior
two networks, permuted posterior: two networks + gap loss, posteriors permuted
  The same, with the posteriors dealt to the samples at random.
  against: two networks + gap loss
dropout + unimodal losses: modality dropout, tuned
  Joint + unimodal losses; some samples lose one of their modalities, drawn anew in every epoch.
  Rates are tuned.
  against: joint-unimodal, CAL's options
modality-dropout: modality dropout
  The same at rate 0.3, with the learning rate of joint + unimodal losses.
  against: joint-unimodal
trained with noise: trained with noise
  Joint + unimodal losses; half of the training samples of each modality have noise.
  against: joint-unimodal
"""


def _read(text: str) -> dict[str, dict[str, dict[str, str]]]:
    found = {}
    for entry in re.split(r"\n(?! )", text.strip()):
        head, *lines = entry.splitlines()
        if head.startswith("["):
            section = found[head.strip("[]")] = {}
        else:
            row, name = head.split(": ")
            definition, _, against = " ".join(line.strip() for line in lines).partition(
                " against: "
            )
            section[row] = {"name": name, "definition": definition, "against": against}
    return found


DEFINITIONS = _read(_TEXT)  # section, by the table -> row -> fields of `arms.Arm`
