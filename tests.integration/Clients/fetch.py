"""Gets a URL with urllib, and with requests where it is installed."""
import sys
import urllib.request

print(urllib.request.urlopen(sys.argv[1], timeout=20).status)
try:
    import requests
except ImportError:
    sys.exit()
print(requests.get(sys.argv[1], timeout=20).status_code)
