import Evaluation

/// How fast the steps of an epoch go: images a second, and the share of that time in which the network waited for data.
///
///     var pace = Pace()
///     pace.step(3, images: 16, waited: 0.02)
///     pace.text       // "12.3 images/s, 4 % waiting"; nothing in an epoch's first step
struct Pace {
  private let clock = ContinuousClock()
  /// The end of the first step that was seen of the epoch: what came before it is not of this epoch's pace.
  private var start: ContinuousClock.Instant?
  private var lastStep = 0
  private var images = 0
  private var waited = 0.0
  private(set) var text = ""

  /// Step `step` of an epoch, on `images` images, is done; it waited for them `waited` seconds.
  mutating func step(_ step: Int, images: Int, waited: Double) {
    let now = clock.now
    defer { lastStep = step }
    guard let start, step > lastStep else {
      (start, self.images, self.waited, text) = (now, 0, 0, "")
      return
    }
    self.images += images
    self.waited += waited
    let seconds = (now - start) / .seconds(1)
    guard seconds > 0 else { return }
    text =
      "\(decimals(Double(self.images) / seconds, 1)) images/s, \(Int((100 * min(self.waited / seconds, 1)).rounded())) % waiting"
  }
}
