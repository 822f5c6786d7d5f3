/// The numbers of a network: one flat buffer, ordered by its layout.
public struct Weights: Equatable, Sendable {
  public let layout: ParameterLayout
  /// `layout.count` values: the trained parameters, then the running statistics.
  public var values: [Float]

  public init(layout: ParameterLayout, values: [Float]) {
    precondition(values.count == layout.count, "\(values.count) values for \(layout.count) parameters")
    self.layout = layout
    self.values = values
  }

  /// The values of one parameter of the layout, in C order.
  public subscript(parameter: Parameter) -> [Float] {
    get { Array(values[parameter.range]) }
    set {
      precondition(newValue.count == parameter.range.count)
      values.replaceSubrange(parameter.range, with: newValue)
    }
  }
}
