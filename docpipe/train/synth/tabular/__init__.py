"""Made-up tables: what stands in them (content), how they look (style), where everything goes (layout)."""
