// The program is for Linux alone: containers, namespaces and /proc are what it is about.
[assembly: System.Runtime.Versioning.SupportedOSPlatform("linux")]
