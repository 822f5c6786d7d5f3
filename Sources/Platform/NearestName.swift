/// The name nearest to `text` among `names`, by edit distance without regard to case and separators; nil where none is
/// within a third of the letters of `text`.
public func nearestName(to text: String, among names: [String]) -> String? {
  let wanted = Array(nameKey(text))
  var best: (name: String, distance: Int)?
  // A text from a file can be of any length; a name is not.
  guard wanted.count <= 100 else { return nil }
  for name in names {
    let distance = editDistance(wanted, Array(nameKey(name)))
    if distance < best?.distance ?? Int.max { best = (name, distance) }
  }
  guard let best, best.distance <= max(1, wanted.count / 3) else { return nil }
  return best.name
}

/// `text` as names are compared: lower case, without blanks, underscores and hyphens.
public func nameKey(_ text: String) -> String {
  text.lowercased().filter { !$0.isWhitespace && $0 != "_" && $0 != "-" }
}

/// The least number of insertions, deletions, substitutions and swaps of neighbours that make `b` of `a`, no letter touched twice (optimal string
/// alignment: Damerau, 1964).
private func editDistance(_ a: [Character], _ b: [Character]) -> Int {
  var (before, above) = ([Int](), Array(0...b.count))
  for (i, letter) in a.enumerated() {
    var row = [i + 1]
    for (j, other) in b.enumerated() {
      var least = min(above[j] + (letter == other ? 0 : 1), row[j] + 1, above[j + 1] + 1)
      if i > 0, j > 0, letter == b[j - 1], a[i - 1] == other { least = min(least, before[j - 1] + 1) }
      row.append(least)
    }
    (before, above) = (above, row)
  }
  return above[b.count]
}
