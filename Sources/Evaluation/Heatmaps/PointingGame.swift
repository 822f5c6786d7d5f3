import ChestXray
import Platform

/// How often the peak of a map lies where the finding is: the pointing game (Zhang et al., "Top-down Neural Attention by
/// Excitation Backprop", ECCV 2016, section 4.1), over the images and findings that have boxes.
public struct PointingGame: Equatable, Sendable {
  /// Maps whose finding has a box in their image.
  public private(set) var maps = 0
  /// Those whose peak lies in one of the boxes.
  public private(set) var hits = 0
  /// The sum over those maps of the share of what the network saw that the boxes cover: the hits that peaks thrown at random
  /// would have on average.
  public private(set) var expectedByChance = 0.0

  /// By file name and finding.
  private let boxes: [String: [FindingBox]]

  /// `boxes`: in pixels of the radiographs.
  public init(_ boxes: [FindingBox]) {
    self.boxes = Dictionary(grouping: boxes) { Self.key(fileName(of: $0.image), $0.finding.name) }
  }

  /// Takes note of a map.
  public mutating func add(_ heatmap: Heatmap) {
    guard let boxes = boxes[Self.key(fileName(of: heatmap.image), canonicalClassName(heatmap.finding))] else { return }
    maps += 1
    let (peak, window) = (heatmap.peak, heatmap.window)
    if boxes.contains(where: {
      (peak.x >= $0.x && peak.x < $0.x + $0.width) && (peak.y >= $0.y && peak.y < $0.y + $0.height)
    }) {
      hits += 1
    }
    let seen = boxes.reduce(0) { area, box in
      let width = min(box.x + box.width, window.x + window.width) - max(box.x, window.x)
      let height = min(box.y + box.height, window.y + window.height) - max(box.y, window.y)
      return area + max(width, 0) * max(height, 0)
    }
    expectedByChance += min(seen / (window.width * window.height), 1)
  }

  /// The share of hits, 0 … 1; nil without maps.
  public var rate: Double? { maps > 0 ? Double(hits) / Double(maps) : nil }

  /// The same for peaks thrown at random.
  public var chanceRate: Double? { maps > 0 ? expectedByChance / Double(maps) : nil }

  /// One line:
  ///
  ///     pointing game: 545 of 560 peaks lie in their box (97.3 %); at random 6.1 % would
  public var text: String {
    guard let rate, let chanceRate else { return "pointing game: no map has a box\n" }
    return "pointing game: \(hits) of \(maps) peaks lie in their box (\(decimals(100 * rate, 1)) %); "
      + "at random \(decimals(100 * chanceRate, 1)) % would\n"
  }

  public var json: JSONValue {
    [
      "maps": JSONValue(maps), "hits": JSONValue(hits), "rate": JSONValue(rate), "chance_rate": JSONValue(chanceRate),
    ]
  }

  private static func key(_ image: String, _ finding: String) -> String { image + "\n" + finding }
}
