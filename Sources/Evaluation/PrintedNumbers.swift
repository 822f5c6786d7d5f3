import Foundation

/// `value` with nine significant digits: enough to tell any two floats apart.
func nineDigits(_ value: Double) -> String { String(format: "%.9g", value) }

/// `value` with `count` digits behind the point, for people: 0.8094.
public func decimals(_ value: Double, _ count: Int) -> String { String(format: "%.\(count)f", value) }

/// `part` of `whole` in percent, for people: `70.0 %`; `0 %` of nothing.
public func percentage(_ part: Int, of whole: Int) -> String {
  whole == 0 ? "0 %" : decimals(100 * Double(part) / Double(whole), 1) + " %"
}
