import ChestXray

/// How well maps find what radiologists boxed, by the protocol of ChestX-ray8 (Wang et al., "ChestX-ray8", CVPR 2017,
/// sections 3.2 and 4 and the supplement of arXiv:1705.02315v5).
///
/// A map in the radiograph's own pixels, from 0 (its minimum, and what the network did not see) to 255 (its maximum),
/// is cut at 60 and, separately, at 180. A box around each region above is a detection; those of both levels count. A
/// radiologist's box is found where a detection overlaps it by more than T, and a detection that overlaps none of its
/// image's boxes of the finding by more than T is false. The overlap is either the intersection's share of the
/// detection (IoBB) or of the union (IoU).
///
/// What the paper leaves open, and what is done here:
///
/// - *Isolated regions*: pixels connect by sides and corners, as by default in MATLAB's `bwlabel` and OpenCV (SciPy's
///   `label` has sides only). Regions of an interpolated map hardly ever meet in a corner alone.
/// - *Thresholded by 60*: greater than 60, as OpenCV's `threshold`.
/// - *Normalised to [0, 255]*: per map, over its cells; enlarged bilinearly and rounded before it is cut.
/// - *Individually*: the detections of both levels are pooled, so that a peak that misses its box is false twice.
/// - *IoU or IoBB*: one table each. At the same T whatever IoU accepts, IoBB accepts too.
/// - *Average false positives*: here per map, and a finding's maps are those of images with a box of it. The paper
///   does not say over what it averages, but each of its figures is a whole number of 984ths: it divides by all 984
///   boxes, whatever the finding, and counts over maps that it does not name. Its false positives and ours are not
///   comparable; its accuracies are.
/// - A box that reaches over its image's edge counts with its part inside; one wholly outside is left out; one that
///   stands twice counts once.
public struct Localization: Sendable {
  /// Of the 255 gray levels, the ones above which regions are sought.
  static let levels: [UInt16] = [60, 180]

  /// How often a threshold was passed.
  struct Count: Equatable, Sendable {
    let threshold: Double
    /// Boxes found.
    var hits = 0
    /// Detections that found none.
    var falseDetections = 0
  }

  /// What is said of one finding.
  struct Tally: Equatable, Sendable {
    /// Maps of images that have a box of the finding.
    private(set) var maps = 0
    private(set) var boxes = 0
    private(set) var detections = 0
    private(set) var iobb = LocalizationCriterion.iobb.thresholds.map { Count(threshold: $0) }
    private(set) var iou = LocalizationCriterion.iou.thresholds.map { Count(threshold: $0) }

    subscript(criterion: LocalizationCriterion) -> [Count] {
      switch criterion {
      case .iobb: iobb
      case .iou: iou
      }
    }

    /// One map more: the boxes of its image and finding, and what was detected.
    mutating func add(_ boxes: [Rectangle], _ detections: [Rectangle]) {
      maps += 1
      self.boxes += boxes.count
      self.detections += detections.count
      LocalizationCriterion.iobb.compare(detections, with: boxes, counts: &iobb)
      LocalizationCriterion.iou.compare(detections, with: boxes, counts: &iou)
    }

    /// The share of the boxes that were found, 0 … 1.
    func accuracy(_ count: Count) -> Double { Double(count.hits) / Double(boxes) }

    /// False detections per map.
    func falsePerMap(_ count: Count) -> Double { Double(count.falseDetections) / Double(maps) }
  }

  private(set) var tallies: [Finding: Tally] = [:]
  /// Rows that say what another said.
  let duplicates: Int
  /// Boxes of images that are not among those drawn.
  let ofOtherImages: Int
  /// Boxes of findings that the checkpoint has no class for.
  let ofOtherFindings: Int
  /// Boxes with no pixel in their image.
  private(set) var outside = 0
  /// Boxes that reach over the edge of their image, and count with their part inside.
  private(set) var clipped = 0

  private struct Key: Hashable {
    let image: String
    let finding: Finding
  }

  /// The boxes whose map has not come yet.
  private var waiting: [Key: [FindingBox]] = [:]

  /// - Parameters:
  ///   - boxes: in pixels of the radiographs.
  ///   - classes: the checkpoint's.
  ///   - images: paths of those whose maps are drawn.
  public init(_ boxes: [FindingBox], classes: [String], images: [String]) {
    let findings = Set(classes.compactMap { Finding(named: $0) })
    let names = Set(images.map(fileName(of:)))
    var (duplicates, ofOtherImages, ofOtherFindings) = (0, 0, 0)
    for box in boxes {
      let key = Key(image: fileName(of: box.image), finding: box.finding)
      if !names.contains(key.image) {
        ofOtherImages += 1
      } else if !findings.contains(key.finding) {
        ofOtherFindings += 1
      } else if waiting[key]?.contains(where: { $0.hasCorners(of: box) }) == true {
        duplicates += 1
      } else {
        waiting[key, default: []].append(box)
      }
    }
    (self.duplicates, self.ofOtherImages, self.ofOtherFindings) = (duplicates, ofOtherImages, ofOtherFindings)
  }

  /// Boxes of images and findings whose map was not drawn, so far.
  var notDrawn: Int { waiting.values.reduce(0) { $0 + $1.count } }

  /// Takes note of a map, whatever size, scale and depth its file has. The first of an image and finding counts.
  public mutating func add(_ heatmap: Heatmap) {
    guard let finding = Finding(named: heatmap.finding), isWaiting(heatmap.image, finding) else { return }
    let picture = HeatmapImage(heatmap.field, bias: heatmap.bias, scale: .map, depth: 8)
    add(picture.pixels, width: picture.width, height: picture.height, image: heatmap.image, finding: finding)
  }

  private func isWaiting(_ image: String, _ finding: Finding) -> Bool {
    waiting[Key(image: fileName(of: image), finding: finding)] != nil
  }

  /// Takes note of a map of 0 … 255, `[height, width]`, in the pixels of its image.
  mutating func add(_ pixels: [UInt16], width: Int, height: Int, image: String, finding: Finding) {
    guard let rows = waiting.removeValue(forKey: Key(image: fileName(of: image), finding: finding)) else { return }
    var boxes: [Rectangle] = []
    for row in rows {
      let box = Rectangle(x: row.x, y: row.y, width: row.width, height: row.height)
      guard let part = box.clipped(toWidth: width, height: height) else {
        outside += 1
        continue
      }
      let isWhole = box.x + box.width <= Double(width) && box.y + box.height <= Double(height)
      clipped += isWhole ? 0 : 1
      boxes.append(isWhole ? box : part)
    }
    guard !boxes.isEmpty else { return }
    let detections = Localization.levels.flatMap {
      Rectangle.aroundRegions(of: pixels, width: width, height: height, above: $0)
    }
    tallies[finding, default: Tally()].add(boxes, detections)
  }
}

/// How a detection is compared with a radiologist's box.
enum LocalizationCriterion: String, CaseIterable, Sendable {
  /// The intersection's share of the detection: how much of it is inside.
  case iobb = "IoBB"
  /// The intersection's share of the union of both.
  case iou = "IoU"

  /// A detection finds a box where the overlap is greater than T (Wang et al., Tables 4 and 7).
  var thresholds: [Double] {
    switch self {
    case .iobb: [0.1, 0.25, 0.5, 0.75, 0.9]
    case .iou: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    }
  }

  /// 0 … 1.
  func overlap(of detection: Rectangle, with box: Rectangle) -> Double {
    let intersection = detection.intersection(box)
    switch self {
    case .iobb: return intersection / detection.area
    case .iou: return intersection / (detection.area + box.area - intersection)
    }
  }

  /// Adds to the count of each threshold what the detections on one map found of the boxes of its image.
  fileprivate func compare(_ detections: [Rectangle], with boxes: [Rectangle], counts: inout [Localization.Count]) {
    let overlaps = detections.map { detection in boxes.map { overlap(of: detection, with: $0) } }
    for index in counts.indices {
      let threshold = counts[index].threshold
      counts[index].hits += boxes.indices.count { box in overlaps.contains { $0[box] > threshold } }
      counts[index].falseDetections += overlaps.count { $0.allSatisfy { $0 <= threshold } }
    }
  }
}

extension FindingBox {
  fileprivate func hasCorners(of other: FindingBox) -> Bool {
    (x, y, width, height) == (other.x, other.y, other.width, other.height)
  }
}
