import Foundation

/// A library that is asked for at run time, because most runs do without it. It stays open.
public struct DynamicLibrary: @unchecked Sendable {
  /// Of `dlopen`.
  public let handle: UnsafeMutableRawPointer
  public let name: String

  /// Opens the first of `names` that the loader finds; throws `libraryMissing`. `isGlobal`: for a library whose own parts, opened later, look for
  /// its names.
  public init(_ names: [String], isGlobal: Bool = false) throws(PlatformError) {
    var reason = ""
    for name in names {
      if let handle = dlopen(name, RTLD_LAZY | (isGlobal ? RTLD_GLOBAL : RTLD_LOCAL)) {
        self.handle = handle
        self.name = name
        return
      }
      if let message = dlerror() { reason = String(cString: message) }
    }
    throw .libraryMissing(names: names, reason: reason)
  }

  /// Whether it has a function or variable of that name.
  public func has(_ name: String) -> Bool { dlsym(handle, name) != nil }

  /// Where its function or variable of that name is; throws `libraryMissing`.
  public func address(_ name: String) throws(PlatformError) -> UnsafeMutableRawPointer {
    guard let address = dlsym(handle, name) else {
      throw .libraryMissing(names: [self.name], reason: "it has no \(name)")
    }
    return address
  }

  /// The function or variable of that name, as `Function`, a `@convention(c)` type that must be its own; throws `libraryMissing`.
  public func symbol<Function>(_ name: String, as _: Function.Type = Function.self) throws(PlatformError) -> Function {
    let address = try address(name)
    precondition(MemoryLayout<Function>.size == MemoryLayout<UnsafeMutableRawPointer>.size, "no pointer to a function")
    return unsafeBitCast(address, to: Function.self)
  }
}
