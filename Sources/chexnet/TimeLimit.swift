import ArgumentParser

/// A length of time, written `HH:MM` or `HH:MM:SS`, above 0: `1:30` is an hour and a half.
struct TimeLimit: ExpressibleByArgument {
  let seconds: Int

  init?(argument: String) {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { $0.count <= 4 && $0.allSatisfy(\.isASCII) ? UInt32($0).map { Int($0) } : nil }
    guard (2...3).contains(parts.count), numbers.count == parts.count, numbers.dropFirst().allSatisfy({ $0 < 60 })
    else {
      return nil
    }
    seconds = numbers[0] * 3600 + numbers[1] * 60 + (numbers.count == 3 ? numbers[2] : 0)
    if seconds == 0 { return nil }
  }
}
