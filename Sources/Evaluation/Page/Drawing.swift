/// A picture of lines and words for a page (SVG), drawn from its upper left corner.
///
/// Colours of columns are Okabe's and Ito's, which eyes that tell red from green and those that do not keep apart ("Color universal design", 2008);
/// on paper without colours their dashes differ. Everything else has the page's ink.
struct Drawing {
  let width: Double
  let height: Double
  /// Said to those who do not see it.
  let title: String
  private var body = ""

  init(width: Double, height: Double, title: String) {
    (self.width, self.height, self.title) = (width, height, title)
  }

  /// How something is drawn.
  enum Ink {
    /// Axes and words.
    case plain
    /// What helps to read the rest.
    case faint
    /// Of a report's column.
    case column(Int)

    private static let colors = [
      "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#999999",
    ]
    private static let dashes = ["", "6 3", "2 2", "8 3 2 3", "12 4", "4 2 1 2", "1 3", "10 2"]

    var color: String {
      switch self {
      case .plain: "currentColor"
      case .faint: "#8888"
      case .column(let index): Self.colors[index % Self.colors.count]
      }
    }

    fileprivate var dash: String {
      guard case .column(let index) = self, index > 0 else { return "" }
      return " stroke-dasharray=\"\(Self.dashes[index % Self.dashes.count])\""
    }
  }

  enum Anchor: String { case start, middle, end }

  mutating func line(_ from: (Double, Double), _ to: (Double, Double), _ ink: Ink, width: Double = 1) {
    path([from, to], ink, width: width)
  }

  mutating func path(_ points: [(Double, Double)], _ ink: Ink, width: Double = 1.5) {
    let text = points.map { "\(Self.number($0.0)) \(Self.number($0.1))" }.joined(separator: "L")
    body +=
      "<path d=\"M\(text)\" fill=\"none\" stroke=\"\(ink.color)\" stroke-width=\"\(Self.number(width))\"\(ink.dash)/>\n"
  }

  mutating func dot(_ x: Double, _ y: Double, radius: Double, _ ink: Ink) {
    body +=
      "<circle cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"\(Self.number(radius))\" fill=\"\(ink.color)\"/>\n"
  }

  mutating func text(_ text: String, _ x: Double, _ y: Double, _ anchor: Anchor = .start, turned: Bool = false) {
    let turn = turned ? " transform=\"rotate(-90 \(Self.number(x)) \(Self.number(y)))\"" : ""
    body +=
      "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" text-anchor=\"\(anchor.rawValue)\"\(turn)>\(Self.escaped(text))</text>\n"
  }

  var svg: String {
    "<svg viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\" role=\"img\" aria-label=\"\(Self.escaped(title))\">\n\(body)</svg>"
  }

  /// A tenth of a pixel is enough.
  private static func number(_ value: Double) -> String {
    let tenths = Int((10 * value).rounded())
    let (whole, rest) = (abs(tenths) / 10, abs(tenths) % 10)
    return (tenths < 0 ? "-" : "") + (rest == 0 ? "\(whole)" : "\(whole).\(rest)")
  }

  /// Names come from other people's tables.
  static func escaped(_ text: String) -> String {
    let escapes: [Character: String] = ["&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;", "'": "&#39;"]
    return text.map { escapes[$0] ?? String($0) }.joined()
  }
}
